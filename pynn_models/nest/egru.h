// An event-based gated recurrent unit for NEST: a GRU that is heard only above a threshold.
//
//   a receptor's sum = (spikes + currents) + graded
//   z = 1 / (1 + exp(-(sum of update + update_bias)))
//   r = 1 / (1 + exp(-(sum of reset + reset_bias)))
//   q = sum of recurrent + recurrent_bias
//   g = tanh((sum of input + bias) + r*q)
//   v = z*h + (1 - z)*g
//   spike if v > theta (strictly); then h = v - theta, else h = v
//   sent over graded synapses: v with a spike, else 0
//
// with k = kernel step - first_step, period and active as in state_space.cpp: before a sample's
// first step h is 0, and what arrives in a step that is none of a sample is thrown away.
//
// Receptors: 0 input, 1 update, 2 reset, 3 recurrent; each takes spikes, currents and graded values.
//
// The order of these operations is a contract: a reference that follows it agrees bit for bit, if it
// adds up graded values as they come: of one step by source, those of longer delays first.
// Equations, units and meanings: pynn_models/cells/egru.py.

#ifndef SNN_SSM_EGRU_H
#define SNN_SSM_EGRU_H

#include "graded_connection.h"
#include "refusals.h"
#include "schedule.h"
#include "sending.h"

#include "dict_util.h"
#include "event.h"
#include "kernel_manager.h"
#include "nest_types.h"
#include "node.h"
#include "recordables_map.h"
#include "ring_buffer.h"
#include "universal_data_logger.h"
#include "universal_data_logger_impl.h"

#include <array>
#include <cmath>
#include <cstddef>
#include <optional>
#include <sstream>
#include <vector>

namespace snn_ssm
{

struct EgruParameters
{
  double theta = 0.5;
  double bias = 0.0;
  double update_bias = 0.0;
  double reset_bias = 0.0;
  double recurrent_bias = 0.0;
  Schedule schedule;

  void
  get( Dictionary& dict ) const
  {
    dict[ "theta" ] = theta;
    dict[ "bias" ] = bias;
    dict[ "update_bias" ] = update_bias;
    dict[ "reset_bias" ] = reset_bias;
    dict[ "recurrent_bias" ] = recurrent_bias;
    schedule.get( dict );
  }

  void
  set( const Dictionary& dict, nest::Node* node )
  {
    nest::update_value_param( dict, "theta", theta, node );
    nest::update_value_param( dict, "bias", bias, node );
    nest::update_value_param( dict, "update_bias", update_bias, node );
    nest::update_value_param( dict, "reset_bias", reset_bias, node );
    nest::update_value_param( dict, "recurrent_bias", recurrent_bias, node );
    schedule.set( dict );
    if ( not( theta > 0.0 ) ) // also refuses NaN
    {
      std::ostringstream text;
      text << "theta is " << theta << ", expected a number above 0 or inf (never spikes)";
      refuse( text.str() );
    }
    require_finite( "bias", bias );
    require_finite( "update_bias", update_bias );
    require_finite( "reset_bias", reset_bias );
    require_finite( "recurrent_bias", recurrent_bias );
    schedule.validate();
  }
};

struct EgruState
{
  double h = 0.0;
  double y = 0.0; // v, what is compared with theta
  double u = 0.0; // the input and its bias
  double z = 0.0;
  double r = 0.0;
  double g = 0.0;
};

// What arrives at a receptor; the sum of a step is cleared by reading.
struct EgruReceptor
{
  nest::RingBuffer spikes;
  nest::RingBuffer currents;
  nest::RingBuffer graded;

  double
  read( long lag )
  {
    const double sum = spikes.get_value( lag ) + currents.get_value( lag );
    return sum + graded.get_value( lag );
  }

  void
  clear()
  {
    spikes.clear();
    currents.clear();
    graded.clear();
  }
};

class EgruNeuron : public nest::Node, public Sender
{
public:
  EgruNeuron();

  EgruNeuron( const EgruNeuron& other )
    : nest::Node( other )
    , parameters_( other.parameters_ )
    , state_( other.state_ )
    , logger_( *this )
  {
  }

  using nest::Node::handle;
  using nest::Node::handles_test_event;
  using nest::Node::sends_secondary_event;

  bool
  sends_differences() const override
  {
    return false;
  }

  void
  sends_secondary_event( nest::DelayedRateConnectionEvent& ) override
  {
  }

  size_t
  send_test_event( nest::Node& target, size_t receptor, nest::synindex, bool ) override
  {
    nest::SpikeEvent event;
    event.set_sender( *this );
    return target.handles_test_event( event, receptor );
  }

  size_t
  handles_test_event( nest::SpikeEvent&, size_t receptor ) override
  {
    return known( receptor );
  }

  size_t
  handles_test_event( nest::CurrentEvent&, size_t receptor ) override
  {
    return known( receptor );
  }

  size_t
  handles_test_event( nest::DelayedRateConnectionEvent&, size_t receptor ) override
  {
    if ( receptor >= first_of_differences )
    {
      throw nest::IllegalConnection( "snn_ssm_difference: snn_ssm_egru adds up no differences; "
                                     "expected a target that is snn_ssm_state_space" );
    }
    return known( receptor );
  }

  size_t
  handles_test_event( nest::DataLoggingRequest& request, size_t receptor ) override
  {
    if ( receptor != 0 )
    {
      throw nest::UnknownReceptorType( receptor, get_name() );
    }
    return logger_.connect_logging_device( request, recordables_ );
  }

  void
  handle( nest::SpikeEvent& event ) override
  {
    receptors_[ event.get_rport() ].spikes.add_value(
      event.get_rel_delivery_steps( nest::kernel().simulation_manager.get_slice_origin() ),
      event.get_weight() * event.get_multiplicity() );
  }

  void
  handle( nest::CurrentEvent& event ) override
  {
    receptors_[ event.get_rport() ].currents.add_value(
      event.get_rel_delivery_steps( nest::kernel().simulation_manager.get_slice_origin() ),
      event.get_weight() * event.get_current() );
  }

  // The values are those of the slice before this one, the first of them min_delay steps old.
  void
  handle( nest::DelayedRateConnectionEvent& event ) override
  {
    const double weight = event.get_weight();
    long step = event.get_delay_steps() - nest::kernel().connection_manager.get_min_delay();
    nest::RingBuffer& buffer = receptors_[ event.get_rport() ].graded;
    for ( auto value = event.begin(); value != event.end(); ++step )
    {
      const double sent = event.get_coeffvalue( value ); // which moves on
      if ( sent != 0.0 ) // without an event there is nothing to add
      {
        buffer.add_value( step, weight * sent );
      }
    }
  }

  void
  handle( nest::DataLoggingRequest& request ) override
  {
    logger_.handle( request );
  }

  void
  get_status( Dictionary& dict ) const override
  {
    parameters_.get( dict );
    dict[ "h" ] = state_.h;
    dict[ "y" ] = state_.y;
    dict[ "u" ] = state_.u;
    dict[ nest::names::recordables ] = recordables_.get_list();
  }

  void
  set_status( const Dictionary& dict ) override
  {
    // On copies: a refused dictionary must leave the neuron as it was.
    EgruParameters parameters = parameters_;
    parameters.set( dict, this );
    EgruState state = state_;
    dict.update_value( "h", state.h );
    dict.update_value( "y", state.y );
    dict.update_value( "u", state.u );
    require_finite( "h", state.h );
    parameters_ = parameters;
    state_ = state;
  }

private:
  static size_t
  known( size_t receptor )
  {
    if ( receptor >= n_receptors )
    {
      throw nest::UnknownReceptorType( receptor, "snn_ssm_egru" );
    }
    return receptor;
  }

  void
  init_buffers_() override
  {
    for ( EgruReceptor& receptor : receptors_ )
    {
      receptor.clear();
    }
    logger_.reset();
  }

  void
  pre_run_hook() override
  {
    logger_.init();
    // Kept from run to run: one may end, and the next begin, within a slice.
    sent_.resize( nest::kernel().connection_manager.get_min_delay(), 0.0 );
    sends_graded_.reset();
  }

  // One step; returns whether it spikes. The sums are those at the four receptors.
  bool
  advance( const std::array< double, 4 >& sums )
  {
    state_.u = sums[ 0 ] + parameters_.bias;
    state_.z = 1.0 / ( 1.0 + std::exp( -( sums[ 1 ] + parameters_.update_bias ) ) );
    state_.r = 1.0 / ( 1.0 + std::exp( -( sums[ 2 ] + parameters_.reset_bias ) ) );
    const double q = sums[ 3 ] + parameters_.recurrent_bias;
    state_.g = std::tanh( state_.u + state_.r * q );
    state_.y = state_.z * state_.h + ( 1.0 - state_.z ) * state_.g;
    const bool spikes = state_.y > parameters_.theta;
    state_.h = spikes ? state_.y - parameters_.theta : state_.y;
    return spikes;
  }

  void
  update( nest::Time const& origin, const long from, const long to ) override
  {
    if ( not sends_graded_ )
    {
      sends_graded_ = has_graded_targets( *this );
    }
    for ( long lag = from; lag < to; ++lag )
    {
      const long step = origin.get_steps() + lag;
      const long k = step - parameters_.schedule.first_step;
      const bool works = parameters_.schedule.is_active( k );
      if ( works and parameters_.schedule.begins( k ) )
      {
        state_.h = 0.0;
      }
      std::array< double, n_receptors > sums; // read, and so cleared, at every step
      for ( size_t i = 0; i < n_receptors; ++i )
      {
        sums[ i ] = receptors_[ i ].read( lag );
      }
      const bool spikes = works and advance( sums );
      if ( spikes )
      {
        nest::SpikeEvent event;
        nest::kernel().event_delivery_manager.send( *this, event, lag );
      }
      sent_[ lag ] = spikes ? state_.y : 0.0;
      logger_.record_data( step );
    }
    if ( *sends_graded_ and static_cast< size_t >( to ) == sent_.size() )
    {
      send_values( *this, sent_ );
    }
  }

  friend class nest::RecordablesMap< EgruNeuron >;
  friend class nest::UniversalDataLogger< EgruNeuron >;

  static constexpr size_t n_receptors = 4;

  // Of the units' variables, by name.
  double get_y() const { return state_.y; }
  double get_u() const { return state_.u; }
  double get_z() const { return state_.z; }
  double get_r() const { return state_.r; }
  double get_g() const { return state_.g; }

  EgruParameters parameters_;
  EgruState state_;
  std::array< EgruReceptor, n_receptors > receptors_;
  std::vector< double > sent_; // of each step of this slice of min_delay steps
  std::optional< bool > sends_graded_; // unknown until a run's first update
  nest::UniversalDataLogger< EgruNeuron > logger_;

  static nest::RecordablesMap< EgruNeuron > recordables_;
};

} // namespace snn_ssm

namespace nest
{
template <>
inline void
RecordablesMap< snn_ssm::EgruNeuron >::create()
{
  insert_( "y", &snn_ssm::EgruNeuron::get_y );
  insert_( "u", &snn_ssm::EgruNeuron::get_u );
  insert_( "z", &snn_ssm::EgruNeuron::get_z );
  insert_( "r", &snn_ssm::EgruNeuron::get_r );
  insert_( "g", &snn_ssm::EgruNeuron::get_g );
}
} // namespace nest

namespace snn_ssm
{

inline nest::RecordablesMap< EgruNeuron > EgruNeuron::recordables_;

inline EgruNeuron::EgruNeuron()
  : logger_( *this )
{
  recordables_.create();
}

} // namespace snn_ssm

#endif
