// A spiking state-space neuron for NEST: N diagonal modes, a threshold, and optional parts.
//
//   decay = exp(-h/tau);  ar = decay*cos(omega*h);  ai = decay*sin(omega*h)     h: resolution, ms
//   u  = (((spikes + held) + currents) + graded) + bias, then + b of each branch, ascending
//   xr = (ar*xr - ai*xi) + u;   xi = ar*xi + ai*xr(old)        complex modes
//   xr = ar*xr + u                                             real modes (omega, c_im empty)
//   y  = (sum over ascending n of (cr*xr - ci*xi) or cr*xr) + d*u
//   spike if y > theta (strictly); the state is left alone. With a reset, a history or further
//   thresholds: parts.h; a spike then has the multiplicity that they say.
//
// with k = kernel step - first_step. k < 0: input is thrown away, the state stays 0, no spike.
// period > 0 and k % period == 0: all state is zeroed before the update.
// active > 0 and k % period >= active: as k < 0, but that the state stays as it is.
//
// A branch multiplies what arrives at two receptors, value and gate:
//
//   v = ((spikes + held) + graded) + value_bias;   g = ((spikes + held) + graded) + gate_bias
//   b = v / (1 + exp(-g))                                                 no shift and gain: glu
//   z = v*g + shift;   b = ((0.5*z) * (1 + erf(z * 0.7071067811865476))) * gain             gsu
//
// Receptors: 0 is the input (spikes, currents, graded), 1 + 2p and 2 + 2p are value and gate of
// branch p (spikes, graded). Graded input is the weighted y of other neurons, sent at every step
// over the synapse snn_ssm_graded; a neuron sends 0 while k < 0.
//
// A neuron with differences sends s[k] - s[k-1] in place of y, over snn_ssm_difference. What such
// ones bring to a receptor is added up:
//
//   held = held + (sum of weighted differences)               0 before a sample's first step
//
// The order of these operations is a contract: a reference that follows it agrees bit for bit.
// Compile with -ffp-contract=off and without -ffast-math; sums must not be reassociated.
// Equations, units and meanings: pynn_models/cells/. The other neuron of this module: egru.h.

#include "egru.h"
#include "graded_connection.h"
#include "parameters.h"
#include "sending.h"

#include "event.h"
#include "kernel_manager.h"
#include "nest_extension_interface.h"
#include "nest_types.h"
#include "node.h"
#include "recordables_map.h"
#include "ring_buffer.h"
#include "universal_data_logger.h"
#include "universal_data_logger_impl.h"

#include <cmath>
#include <cstddef>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

namespace snn_ssm
{

// Structure of arrays: the loop over modes vectorises.
struct State
{
  std::vector< double > x_re;
  std::vector< double > x_im; // empty for real modes
  double y = 0.0;
  double u = 0.0;
};

struct Propagators
{
  std::vector< double > a_re;
  std::vector< double > a_im; // empty for real modes
};

// Differences that arrive at a receptor, and what they add up to.
struct Held
{
  nest::RingBuffer arriving;
  double sum = 0.0;

  double
  read( long lag )
  {
    sum += arriving.get_value( lag );
    return sum;
  }
};

// What arrives at the value or at the gate of a branch.
struct Receptor
{
  nest::RingBuffer spikes;
  nest::RingBuffer graded;
  std::unique_ptr< Held > held; // only where differences arrive
  bool is_connected = false;

  // The sum of a step, which is cleared by reading.
  double
  read( long lag )
  {
    const double sum = spikes.get_value( lag );
    return ( held ? sum + held->read( lag ) : sum ) + graded.get_value( lag );
  }
};

// What only neurons with branches, or with graded input or differences, have.
struct Gates
{
  nest::RingBuffer graded_input;
  std::unique_ptr< Held > held_input; // only where differences arrive at the input
  std::vector< Receptor > receptors;  // value and gate of branch 0, of branch 1, ...

  std::unique_ptr< Held >& held( size_t receptor );
  void clear();
  void forget();
};

// A plain Node, not an ArchivingNode: no plasticity, so no history of spikes to keep.
class StateSpaceNeuron : public nest::Node, public Sender
{
public:
  StateSpaceNeuron();
  StateSpaceNeuron( const StateSpaceNeuron& );

  using nest::Node::handle;
  using nest::Node::handles_test_event;
  using nest::Node::sends_secondary_event;

  size_t send_test_event( nest::Node&, size_t, nest::synindex, bool ) override;

  bool
  sends_differences() const override
  {
    return parameters_.parts.differences;
  }

  void
  sends_secondary_event( nest::DelayedRateConnectionEvent& ) override
  {
  }

  void handle( nest::SpikeEvent& ) override;
  void handle( nest::CurrentEvent& ) override;
  void handle( nest::DelayedRateConnectionEvent& ) override;
  void handle( nest::DataLoggingRequest& ) override;

  size_t handles_test_event( nest::SpikeEvent&, size_t ) override;
  size_t handles_test_event( nest::CurrentEvent&, size_t ) override;
  size_t handles_test_event( nest::DelayedRateConnectionEvent&, size_t ) override;
  size_t handles_test_event( nest::DataLoggingRequest&, size_t ) override;

  void get_status( Dictionary& ) const override;
  void set_status( const Dictionary& ) override;

  double
  get_y() const
  {
    return state_.y;
  }

  double
  get_u() const
  {
    return state_.u;
  }

  // What a neuron with differences sent.
  double
  get_difference() const
  {
    return feedback_ ? feedback_->difference : 0.0;
  }

private:
  void init_buffers_() override;
  void pre_run_hook() override;
  void update( nest::Time const&, const long, const long ) override;

  void require_receptor_zero( size_t ) const;
  size_t n_branches() const;
  Gates& gates();
  void note_connection( size_t receptor );
  nest::RingBuffer& graded( size_t receptor );
  void set_branches( size_t count );
  void compute_propagators();
  double read_input( long lag );
  double read_branch( size_t p, long lag );
  double advance( double u );
  long advance_with_parts( double u );
  void rest();
  void pause();

  // What graded targets are sent of a step.
  double
  message() const
  {
    return parameters_.parts.differences ? feedback_->difference : state_.y;
  }

  friend class nest::RecordablesMap< StateSpaceNeuron >;
  friend class nest::UniversalDataLogger< StateSpaceNeuron >;

  Parameters parameters_;
  State state_;
  Propagators propagators_;
  std::vector< double > terms_; // what each mode adds to y, kept to avoid an allocation a step
  nest::RingBuffer spikes_;
  nest::RingBuffer currents_;
  std::unique_ptr< Gates > gates_;
  std::unique_ptr< Feedback > feedback_; // only of a neuron with optional parts
  std::vector< double > sent_; // y, or differences, of each step of this slice of min_delay steps
  std::optional< bool > sends_graded_; // unknown until a run's first update
  nest::UniversalDataLogger< StateSpaceNeuron > logger_;

  static nest::RecordablesMap< StateSpaceNeuron > recordables_;
};

} // namespace snn_ssm

namespace nest
{
template <>
void
RecordablesMap< snn_ssm::StateSpaceNeuron >::create()
{
  insert_( "y", &snn_ssm::StateSpaceNeuron::get_y );
  insert_( "u", &snn_ssm::StateSpaceNeuron::get_u );
  insert_( "difference", &snn_ssm::StateSpaceNeuron::get_difference );
}
} // namespace nest

namespace snn_ssm
{

nest::RecordablesMap< StateSpaceNeuron > StateSpaceNeuron::recordables_;

StateSpaceNeuron::StateSpaceNeuron()
  : logger_( *this )
{
  recordables_.create();
}

StateSpaceNeuron::StateSpaceNeuron( const StateSpaceNeuron& other )
  : nest::Node( other )
  , parameters_( other.parameters_ )
  , state_( other.state_ )
  , logger_( *this )
{
  if ( other.feedback_ )
  {
    feedback_ = std::make_unique< Feedback >( *other.feedback_ );
  }
  set_branches( other.n_branches() );
  compute_propagators();
}

size_t
StateSpaceNeuron::send_test_event( nest::Node& target, size_t receptor, nest::synindex, bool )
{
  nest::SpikeEvent event;
  event.set_sender( *this );
  return target.handles_test_event( event, receptor );
}

void
StateSpaceNeuron::require_receptor_zero( size_t receptor ) const
{
  if ( receptor != 0 )
  {
    throw nest::UnknownReceptorType( receptor, get_name() );
  }
}

void
Gates::clear()
{
  graded_input.clear();
  if ( held_input )
  {
    held_input->arriving.clear();
  }
  for ( Receptor& receptor : receptors )
  {
    receptor.spikes.clear();
    receptor.graded.clear();
    if ( receptor.held )
    {
      receptor.held->arriving.clear();
    }
  }
  forget();
}

// Before a sample's first step: nothing has arrived yet.
void
Gates::forget()
{
  if ( held_input )
  {
    held_input->sum = 0.0;
  }
  for ( Receptor& receptor : receptors )
  {
    if ( receptor.held )
    {
      receptor.held->sum = 0.0;
    }
  }
}

std::unique_ptr< Held >&
Gates::held( size_t receptor )
{
  return receptor == 0 ? held_input : receptors[ receptor - 1 ].held;
}

size_t
StateSpaceNeuron::n_branches() const
{
  return gates_ ? gates_->receptors.size() / 2 : 0;
}

Gates&
StateSpaceNeuron::gates()
{
  if ( not gates_ )
  {
    gates_ = std::make_unique< Gates >();
  }
  return *gates_;
}

void
StateSpaceNeuron::note_connection( size_t receptor )
{
  if ( receptor > 2 * n_branches() )
  {
    throw nest::UnknownReceptorType( receptor, get_name() );
  }
  if ( receptor > 0 )
  {
    gates_->receptors[ receptor - 1 ].is_connected = true;
  }
}

size_t
StateSpaceNeuron::handles_test_event( nest::SpikeEvent&, size_t receptor )
{
  note_connection( receptor );
  return receptor;
}

size_t
StateSpaceNeuron::handles_test_event( nest::CurrentEvent&, size_t receptor )
{
  require_receptor_zero( receptor );
  return 0;
}

size_t
StateSpaceNeuron::handles_test_event( nest::DelayedRateConnectionEvent&, size_t receptor )
{
  const bool of_differences = receptor >= first_of_differences;
  const size_t of = of_differences ? receptor - first_of_differences : receptor;
  note_connection( of );
  gates(); // also where there are no branches
  if ( of_differences and not gates_->held( of ) )
  {
    gates_->held( of ) = std::make_unique< Held >();
  }
  return receptor;
}

size_t
StateSpaceNeuron::handles_test_event( nest::DataLoggingRequest& request, size_t receptor )
{
  require_receptor_zero( receptor );
  return logger_.connect_logging_device( request, recordables_ );
}

void
StateSpaceNeuron::handle( nest::SpikeEvent& event )
{
  const nest::Time& origin = nest::kernel().simulation_manager.get_slice_origin();
  const long step = event.get_rel_delivery_steps( origin );
  const double sum = event.get_weight() * event.get_multiplicity();
  if ( event.get_rport() == 0 ) [[likely]] // spikes take most of the time: no detour for them
  {
    spikes_.add_value( step, sum );
  }
  else
  {
    gates_->receptors[ event.get_rport() - 1 ].spikes.add_value( step, sum );
  }
}

void
StateSpaceNeuron::handle( nest::CurrentEvent& event )
{
  const nest::Time& origin = nest::kernel().simulation_manager.get_slice_origin();
  currents_.add_value(
    event.get_rel_delivery_steps( origin ), event.get_weight() * event.get_current() );
}

// The values are those of the slice before this one, the first of them min_delay steps old.
void
StateSpaceNeuron::handle( nest::DelayedRateConnectionEvent& event )
{
  const double weight = event.get_weight();
  long step = event.get_delay_steps() - nest::kernel().connection_manager.get_min_delay();
  nest::RingBuffer& buffer = graded( event.get_rport() );
  for ( auto value = event.begin(); value != event.end(); ++step )
  {
    buffer.add_value( step, weight * event.get_coeffvalue( value ) ); // which moves on
  }
}

nest::RingBuffer&
StateSpaceNeuron::graded( size_t receptor )
{
  if ( receptor >= first_of_differences ) [[unlikely]]
  {
    return gates_->held( receptor - first_of_differences )->arriving;
  }
  return receptor == 0 ? gates_->graded_input : gates_->receptors[ receptor - 1 ].graded;
}

void
StateSpaceNeuron::handle( nest::DataLoggingRequest& request )
{
  logger_.handle( request );
}

void
StateSpaceNeuron::get_status( Dictionary& dict ) const
{
  parameters_.get( dict );
  dict[ "x_re" ] = state_.x_re;
  dict[ "x_im" ] = state_.x_im;
  dict[ "y" ] = state_.y;
  dict[ "u" ] = state_.u;
  dict[ nest::names::recordables ] = recordables_.get_list();
}

void
StateSpaceNeuron::set_status( const Dictionary& dict )
{
  // On copies: a refused dictionary must leave the neuron as it was.
  Parameters parameters = parameters_;
  parameters.set( dict, this );
  State state = state_;
  state.x_re.resize( parameters.tau.size(), 0.0 );
  state.x_im.resize( parameters.omega.size(), 0.0 );
  dict.update_value( "x_re", state.x_re );
  dict.update_value( "x_im", state.x_im );
  dict.update_value( "y", state.y );
  dict.update_value( "u", state.u );
  require_length( "x_re", state.x_re.size(), parameters.tau.size(), "one a mode, as tau" );
  require_length( "x_im", state.x_im.size(), parameters.omega.size(), "one a mode, as omega" );
  require_finite( "x_re", state.x_re );
  require_finite( "x_im", state.x_im );
  set_branches( parameters.value_bias.size() );
  parameters_ = parameters;
  state_ = state;
  if ( not parameters_.parts.any() )
  {
    feedback_.reset();
  }
  else if ( not feedback_ )
  {
    feedback_ = std::make_unique< Feedback >();
  }
  compute_propagators();
}

void
StateSpaceNeuron::set_branches( size_t count )
{
  if ( count == n_branches() )
  {
    return;
  }
  std::vector< Receptor >& receptors = gates().receptors;
  for ( size_t i = 2 * count; i < receptors.size(); ++i )
  {
    if ( receptors[ i ].is_connected )
    {
      std::ostringstream text;
      text << "value_bias has " << count << " elements, expected more than " << i / 2
           << ", since receptor " << i + 1 << " has connections; set branches before connecting";
      refuse( text.str() );
    }
  }
  receptors.resize( 2 * count );
}

void
StateSpaceNeuron::init_buffers_()
{
  spikes_.clear();
  currents_.clear();
  if ( gates_ )
  {
    gates_->clear();
  }
  logger_.reset();
}

void
StateSpaceNeuron::pre_run_hook()
{
  logger_.init();
  // Kept from run to run: one may end, and the next begin, within a slice.
  sent_.resize( nest::kernel().connection_manager.get_min_delay(), 0.0 );
  sends_graded_.reset();
  compute_propagators(); // again: the resolution may have changed since they were set
}

// Buffers and propagators for the parameters as they are. Called wherever these change, also
// between the runs of a prepared kernel, which calls no hook then.
void
StateSpaceNeuron::compute_propagators()
{
  const double h = nest::Time::get_resolution().get_ms();
  const size_t n_modes = parameters_.tau.size();
  const bool complex_modes = not parameters_.omega.empty();
  propagators_.a_re.resize( n_modes );
  propagators_.a_im.resize( complex_modes ? n_modes : 0 );
  terms_.resize( n_modes );
  for ( size_t n = 0; n < n_modes; ++n )
  {
    const double decay = std::exp( -h / parameters_.tau[ n ] );
    if ( complex_modes )
    {
      propagators_.a_re[ n ] = decay * std::cos( parameters_.omega[ n ] * h );
      propagators_.a_im[ n ] = decay * std::sin( parameters_.omega[ n ] * h );
    }
    else
    {
      propagators_.a_re[ n ] = decay;
    }
  }
}

// The modes one step on with input u; returns the new membrane. The terms are computed by loops
// that vectorise and added up in ascending order by one that must not.
double
StateSpaceNeuron::advance( double u )
{
  const size_t n_modes = parameters_.tau.size();
  const double* const __restrict__ ar = propagators_.a_re.data();
  const double* const __restrict__ cr = parameters_.c_re.data();
  double* const __restrict__ xr = state_.x_re.data();
  double* const __restrict__ terms = terms_.data();
  if ( parameters_.omega.empty() )
  {
    for ( size_t n = 0; n < n_modes; ++n )
    {
      xr[ n ] = ar[ n ] * xr[ n ] + u;
      terms[ n ] = cr[ n ] * xr[ n ];
    }
  }
  else
  {
    const double* const __restrict__ ai = propagators_.a_im.data();
    const double* const __restrict__ ci = parameters_.c_im.data();
    double* const __restrict__ xi = state_.x_im.data();
    for ( size_t n = 0; n < n_modes; ++n )
    {
      const double re = ( ar[ n ] * xr[ n ] - ai[ n ] * xi[ n ] ) + u;
      const double im = ar[ n ] * xi[ n ] + ai[ n ] * xr[ n ];
      xr[ n ] = re;
      xi[ n ] = im;
      terms[ n ] = cr[ n ] * re - ci[ n ] * im;
    }
  }
  double sum = 0.0;
  for ( size_t n = 0; n < n_modes; ++n )
  {
    sum += terms[ n ];
  }
  return sum + parameters_.d * u;
}

// The same with a reset, a history or further thresholds; returns the number of spikes.
long
StateSpaceNeuron::advance_with_parts( double u )
{
  feedback_->take( parameters_.parts, state_.x_re, state_.x_im );
  state_.y = advance( u );
  if ( parameters_.parts.hard_reset and feedback_->rest > 0 )
  {
    state_.x_re.assign( state_.x_re.size(), 0.0 );
    state_.x_im.assign( state_.x_im.size(), 0.0 );
    state_.y = 0.0 + parameters_.d * u;
  }
  return feedback_->fire( parameters_.parts, parameters_.theta, state_.y );
}

// u of a step. The ring buffers are cleared by reading, also before the first step.
double
StateSpaceNeuron::read_input( long lag )
{
  double u = spikes_.get_value( lag );
  const double current = currents_.get_value( lag );
  if ( not gates_ ) [[likely]]
  {
    return ( u + current ) + parameters_.bias;
  }
  if ( gates_->held_input )
  {
    u += gates_->held_input->read( lag );
  }
  u = ( ( u + current ) + gates_->graded_input.get_value( lag ) ) + parameters_.bias;
  for ( size_t p = 0; p < n_branches(); ++p )
  {
    u += read_branch( p, lag );
  }
  return u;
}

double
StateSpaceNeuron::read_branch( size_t p, long lag )
{
  std::vector< Receptor >& receptors = gates_->receptors;
  const double value = receptors[ 2 * p ].read( lag ) + parameters_.value_bias[ p ];
  const double gate = receptors[ 2 * p + 1 ].read( lag ) + parameters_.gate_bias[ p ];
  if ( parameters_.shift.empty() )
  {
    return value / ( 1.0 + std::exp( -gate ) );
  }
  const double z = value * gate + parameters_.shift[ p ];
  return ( ( 0.5 * z ) * ( 1.0 + std::erf( z * 0.7071067811865476 ) ) ) * parameters_.gain[ p ];
}

// All state to 0, as it is before a sample.
void
StateSpaceNeuron::rest()
{
  state_.x_re.assign( state_.x_re.size(), 0.0 );
  state_.x_im.assign( state_.x_im.size(), 0.0 );
  if ( feedback_ )
  {
    *feedback_ = Feedback();
  }
  if ( gates_ )
  {
    gates_->forget();
  }
}

// A step that is none of a sample: what arrives is not kept, nothing is sent.
void
StateSpaceNeuron::pause()
{
  if ( feedback_ )
  {
    feedback_->difference = 0;
  }
  if ( gates_ )
  {
    gates_->forget();
  }
}

void
StateSpaceNeuron::update( nest::Time const& origin, const long from, const long to )
{
  if ( not sends_graded_ )
  {
    sends_graded_ = has_graded_targets( *this );
  }
  const bool sends = *sends_graded_;
  for ( long lag = from; lag < to; ++lag )
  {
    const long step = origin.get_steps() + lag;
    const long k = step - parameters_.schedule.first_step;
    const bool works = parameters_.schedule.is_active( k );
    if ( works and parameters_.schedule.begins( k ) )
    {
      rest();
    }
    const double u = read_input( lag );
    if ( works )
    {
      state_.u = u;
      long spikes;
      if ( not feedback_ ) [[likely]]
      {
        state_.y = advance( u );
        spikes = state_.y > parameters_.theta;
      }
      else
      {
        spikes = advance_with_parts( u );
      }
      if ( spikes > 0 )
      {
        nest::SpikeEvent event;
        event.set_multiplicity( spikes );
        nest::kernel().event_delivery_manager.send( *this, event, lag );
      }
    }
    else
    {
      pause();
    }
    if ( sends )
    {
      sent_[ lag ] = works ? message() : 0.0;
    }
    logger_.record_data( step );
  }
  if ( sends and static_cast< size_t >( to ) == sent_.size() )
  {
    send_values( *this, sent_ );
  }
}

struct Module : public nest::NESTExtensionInterface
{
  void
  initialize() override
  {
    nest::register_node_model< StateSpaceNeuron >( "snn_ssm_state_space", "" );
    nest::register_node_model< EgruNeuron >( "snn_ssm_egru", "" );
    nest::register_connection_model< GradedConnection >( "snn_ssm_graded" );
    nest::register_connection_model< DifferenceConnection >( "snn_ssm_difference" );
  }
};

} // namespace snn_ssm

// The symbol NEST looks up, whatever the file is called.
snn_ssm::Module module;
