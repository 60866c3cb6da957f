// Work that threads share: fn(first, last) for parts of 0 to count, a part a thread.
//
// A training step calls some dozens of operators, a millisecond each, so that threads asleep between
// them would cost more than half of what they bring: to wake one takes a tenth of a millisecond. Here
// they wait awake for a while, yielding to whoever else wants the processor.
#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include <pthread.h>
#include <sched.h>

#include "vectors.h"

class Team {
    using Clock = std::chrono::steady_clock;
    static constexpr auto AWAKE = std::chrono::microseconds(200);
    const i64 size;
    std::mutex gate;
    std::condition_variable bell;
    std::atomic<i64> round{0}, left{0}, asleep{0};
    const std::function<void(i64)>* work = nullptr;

    template <class F> void await(F done) {
        for (const auto end = Clock::now() + AWAKE; Clock::now() < end; sched_yield())
            for (int i = 0; i < 64; i++) {
                if (done()) return;
#if defined(__x86_64__)
                __builtin_ia32_pause();
#endif
            }
        std::unique_lock<std::mutex> lock(gate);
        asleep++;
        bell.wait(lock, done);
        asleep--;
    }

    void ring() {
        if (!asleep) return;
        { std::lock_guard<std::mutex> lock(gate); }  // who is about to sleep has looked, or sleeps
        bell.notify_all();
    }

    void serve(i64 part) {
        for (i64 seen = 0;; seen++) {
            await([&] { return round != seen; });
            (*work)(part);
            if (--left == 0) ring();
        }
    }

  public:
    std::mutex taken;

    explicit Team(i64 size) : size(size) {
        for (i64 part = 1; part < size; part++)
            std::thread([this, part] { serve(part); }).detach();
    }

    void run(const std::function<void(i64)>& parts) {
        work = &parts;
        left = size - 1;
        round++;
        ring();
        parts(0);
        await([&] { return left == 0; });
    }
};

// The teams of this process, which last as long as it does: a child has none of its parent's threads.
struct Teams {
    std::mutex gate;
    std::map<i64, Team*> by_size;

    static Teams*& present() {
        static Teams* teams = [] {
            pthread_atfork(nullptr, nullptr, [] { present() = new Teams; });
            return new Teams;
        }();
        return teams;
    }

    static Team& of(i64 size) {
        Teams& teams = *present();
        std::lock_guard<std::mutex> lock(teams.gate);
        Team*& team = teams.by_size[size];
        return team ? *team : *(team = new Team(size));
    }
};

// A team that another caller has is not waited for: the caller does all parts itself.
template <class F> void share(i64 count, i64 threads, F fn) {
    threads = std::max<i64>(1, std::min(threads, count));
    const auto part = [&](i64 i) { fn(count * i / threads, count * (i + 1) / threads); };
    if (threads > 1) {
        Team& team = Teams::of(threads);
        std::unique_lock<std::mutex> lock(team.taken, std::try_to_lock);
        if (lock) return team.run(part);
    }
    for (i64 i = 0; i < threads; i++) part(i);
}

template <auto> struct Shared;
template <class... A, void (*F)(i64, i64, A...)> struct Shared<F> {
    static void run(i64 count, i64 threads, A... a) {
        share(count, threads, [&](i64 first, i64 last) { F(first, last, a...); });
    }
};

// The addresses name_f32 and name_f64 of void(count, threads, a...), which does F<S>(first, last, a...)
// for all parts; references are passed as addresses.
#define EXPORT(F) EXPORT_OF(F, float, f32) EXPORT_OF(F, double, f64)
#define EXPORT_OF(F, S, NAME)                                                                      \
    extern "C" __attribute__((visibility("default"))) const auto F##_##NAME = &Shared<F<S>>::run;
