// A spiking state-space neuron for NEST: N diagonal modes, a threshold, no reset.
//
//   decay = exp(-h/tau);  ar = decay*cos(omega*h);  ai = decay*sin(omega*h)     h: resolution, ms
//   u  = ((spikes + currents) + graded) + bias, then + b of each branch, ascending
//   xr = (ar*xr - ai*xi) + u;   xi = ar*xi + ai*xr(old)        complex modes
//   xr = ar*xr + u                                             real modes (omega, c_im empty)
//   y  = (sum over ascending n of (cr*xr - ci*xi) or cr*xr) + d*u
//   spike if y > theta (strictly); the state is left alone
//
// with k = kernel step - first_step. k < 0: input is thrown away, the state stays 0, no spike.
// period > 0 and k % period == 0: the modes are zeroed before the update.
//
// A branch multiplies what arrives at two receptors, value and gate:
//
//   v = (spikes + graded) + value_bias;   g = (spikes + graded) + gate_bias
//   b = v / (1 + exp(-g))                                                 no shift and gain: glu
//   z = v*g + shift;   b = ((0.5*z) * (1 + erf(z * 0.7071067811865476))) * gain             gsu
//
// Receptors: 0 is the input (spikes, currents, graded), 1 + 2p and 2 + 2p are value and gate of
// branch p (spikes, graded). Graded input is the weighted y of other neurons, sent at every step
// over the synapse snn_ssm_graded; a neuron sends 0 while k < 0.
//
// The order of these operations is a contract: a reference that follows it agrees bit for bit.
// Compile with -ffp-contract=off and without -ffast-math; sums must not be reassociated.
// Equations, units and meanings: pynn_models/cells.py.

#include "graded_connection.h"

#include "dict_util.h"
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
#include <optional>
#include <sstream>
#include <string>
#include <vector>

namespace snn_ssm
{

struct Parameters
{
  std::vector< double > tau;
  std::vector< double > omega;
  std::vector< double > c_re;
  std::vector< double > c_im;
  double d = 0.0;
  double theta = 1.0;
  double bias = 0.0;
  std::vector< double > value_bias; // one a branch, as the three below
  std::vector< double > gate_bias;
  std::vector< double > shift; // empty for glu
  std::vector< double > gain;  // empty for glu
  long first_step = 0;
  long period = 0;

  void get( Dictionary& dict ) const;
  void set( const Dictionary& dict, nest::Node* node );
  void validate() const;
};

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

// What arrives at one receptor, a step at a time; graded only where a graded connection ends.
struct Receptor
{
  nest::RingBuffer spikes;
  std::optional< nest::RingBuffer > graded;
  bool is_connected = false;

  void
  clear()
  {
    spikes.clear();
    if ( graded )
    {
      graded->clear();
    }
  }

  // The sum of a step, which is cleared by reading.
  double
  read( long lag )
  {
    const double sum = spikes.get_value( lag );
    return graded ? sum + graded->get_value( lag ) : sum;
  }
};

// A plain Node, not an ArchivingNode: no plasticity, so no history of spikes to keep.
class StateSpaceNeuron : public nest::Node
{
public:
  StateSpaceNeuron();
  StateSpaceNeuron( const StateSpaceNeuron& );

  using nest::Node::handle;
  using nest::Node::handles_test_event;
  using nest::Node::sends_secondary_event;

  size_t send_test_event( nest::Node&, size_t, nest::synindex, bool ) override;

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

private:
  void init_buffers_() override;
  void pre_run_hook() override;
  void update( nest::Time const&, const long, const long ) override;

  void require_receptor_zero( size_t ) const;
  Receptor& connected_receptor( size_t );
  Receptor& receptor( size_t );
  void set_branches( size_t count );
  double read_branch( size_t p, long lag );
  double advance( double u );
  bool has_graded_targets();
  void send_membranes();

  friend class nest::RecordablesMap< StateSpaceNeuron >;
  friend class nest::UniversalDataLogger< StateSpaceNeuron >;

  Parameters parameters_;
  State state_;
  Propagators propagators_;
  std::vector< double > terms_; // what each mode adds to y, kept to avoid an allocation a step
  Receptor input_;
  nest::RingBuffer currents_;
  std::vector< Receptor > branch_receptors_; // value and gate of branch 0, of branch 1, ...
  std::vector< double > membranes_;          // y of each step of this slice of min_delay steps
  std::optional< bool > sends_graded_;       // unknown until a run's first update
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
}
} // namespace nest

namespace snn_ssm
{

nest::RecordablesMap< StateSpaceNeuron > StateSpaceNeuron::recordables_;

namespace
{

void
refuse( const std::string& text )
{
  throw nest::BadProperty( "snn_ssm_state_space: " + text );
}

void
require_finite( const std::string& name, double value )
{
  if ( not std::isfinite( value ) )
  {
    std::ostringstream text;
    text << name << " is " << value << ", expected a finite number";
    refuse( text.str() );
  }
}

void
require_finite( const std::string& name, const std::vector< double >& values )
{
  for ( size_t n = 0; n < values.size(); ++n )
  {
    // The element's name is put together only if needed: NEST checks at every create and set.
    if ( not std::isfinite( values[ n ] ) )
    {
      std::ostringstream element;
      element << name << "[" << n << "]";
      require_finite( element.str(), values[ n ] );
    }
  }
}

void
require_length( const std::string& name, size_t found, size_t expected, const std::string& why )
{
  if ( found != expected )
  {
    std::ostringstream text;
    text << name << " has " << found << " elements, expected " << expected << " (" << why
         << "); set all vectors that must agree in one call";
    refuse( text.str() );
  }
}

void
require_not_negative( const std::string& name, long value )
{
  if ( value < 0 )
  {
    std::ostringstream text;
    text << name << " is " << value << ", expected a number of steps >= 0";
    refuse( text.str() );
  }
}

} // namespace

void
Parameters::get( Dictionary& dict ) const
{
  dict[ "tau" ] = tau;
  dict[ "omega" ] = omega;
  dict[ "c_re" ] = c_re;
  dict[ "c_im" ] = c_im;
  dict[ "d" ] = d;
  dict[ "theta" ] = theta;
  dict[ "bias" ] = bias;
  dict[ "value_bias" ] = value_bias;
  dict[ "gate_bias" ] = gate_bias;
  dict[ "shift" ] = shift;
  dict[ "gain" ] = gain;
  dict[ "first_step" ] = first_step;
  dict[ "period" ] = period;
}

void
Parameters::set( const Dictionary& dict, nest::Node* node )
{
  dict.update_value( "tau", tau );
  dict.update_value( "omega", omega );
  dict.update_value( "c_re", c_re );
  dict.update_value( "c_im", c_im );
  nest::update_value_param( dict, "d", d, node );
  nest::update_value_param( dict, "theta", theta, node );
  nest::update_value_param( dict, "bias", bias, node );
  dict.update_value( "value_bias", value_bias );
  dict.update_value( "gate_bias", gate_bias );
  dict.update_value( "shift", shift );
  dict.update_value( "gain", gain );
  dict.update_integer_value( "first_step", first_step );
  dict.update_integer_value( "period", period );
  validate();
}

void
Parameters::validate() const
{
  const size_t n_modes = tau.size();
  const size_t n_imaginary = omega.empty() ? 0 : n_modes;
  require_length( "c_re", c_re.size(), n_modes, "one a mode, as tau" );
  require_length( "omega", omega.size(), n_imaginary, "one a mode, as tau, or none for real modes" );
  require_length( "c_im", c_im.size(), n_imaginary, "one a mode, as omega" );
  for ( size_t n = 0; n < n_modes; ++n )
  {
    if ( not( tau[ n ] > 0.0 ) ) // also refuses NaN; infinity is a mode without leak
    {
      std::ostringstream text;
      text << "tau[" << n << "] is " << tau[ n ] << " ms, expected > 0 (inf: no leak)";
      refuse( text.str() );
    }
  }
  require_finite( "omega", omega );
  require_finite( "c_re", c_re );
  require_finite( "c_im", c_im );
  require_finite( "d", d );
  require_finite( "bias", bias );
  const size_t n_branches = value_bias.size();
  const size_t n_gsu = shift.empty() ? 0 : n_branches;
  require_length( "gate_bias", gate_bias.size(), n_branches, "one a branch, as value_bias" );
  require_length( "shift", shift.size(), n_gsu, "one a branch, as value_bias, or none for glu" );
  require_length( "gain", gain.size(), n_gsu, "one a branch, as shift" );
  require_finite( "value_bias", value_bias );
  require_finite( "gate_bias", gate_bias );
  require_finite( "shift", shift );
  require_finite( "gain", gain );
  if ( std::isnan( theta ) or theta == -INFINITY )
  {
    std::ostringstream text;
    text << "theta is " << theta << ", expected a number or inf (never spikes)";
    refuse( text.str() );
  }
  require_not_negative( "first_step", first_step );
  require_not_negative( "period", period );
}

StateSpaceNeuron::StateSpaceNeuron()
  : logger_( *this )
{
  recordables_.create();
}

StateSpaceNeuron::StateSpaceNeuron( const StateSpaceNeuron& other )
  : nest::Node( other )
  , parameters_( other.parameters_ )
  , state_( other.state_ )
  , branch_receptors_( other.branch_receptors_.size() )
  , logger_( *this )
{
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

Receptor&
StateSpaceNeuron::receptor( size_t index )
{
  return index == 0 ? input_ : branch_receptors_[ index - 1 ];
}

Receptor&
StateSpaceNeuron::connected_receptor( size_t index )
{
  if ( index > branch_receptors_.size() )
  {
    throw nest::UnknownReceptorType( index, get_name() );
  }
  receptor( index ).is_connected = true;
  return receptor( index );
}

size_t
StateSpaceNeuron::handles_test_event( nest::SpikeEvent&, size_t index )
{
  connected_receptor( index );
  return index;
}

size_t
StateSpaceNeuron::handles_test_event( nest::CurrentEvent&, size_t index )
{
  require_receptor_zero( index );
  return index;
}

size_t
StateSpaceNeuron::handles_test_event( nest::DelayedRateConnectionEvent&, size_t index )
{
  std::optional< nest::RingBuffer >& graded = connected_receptor( index ).graded;
  if ( not graded )
  {
    graded.emplace();
  }
  return index;
}

size_t
StateSpaceNeuron::handles_test_event( nest::DataLoggingRequest& request, size_t index )
{
  require_receptor_zero( index );
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
    input_.spikes.add_value( step, sum );
  }
  else
  {
    receptor( event.get_rport() ).spikes.add_value( step, sum );
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
  nest::RingBuffer& graded = *receptor( event.get_rport() ).graded;
  for ( auto value = event.begin(); value != event.end(); ++step )
  {
    graded.add_value( step, weight * event.get_coeffvalue( value ) ); // which moves on
  }
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
}

void
StateSpaceNeuron::set_branches( size_t count )
{
  for ( size_t i = 2 * count; i < branch_receptors_.size(); ++i )
  {
    if ( branch_receptors_[ i ].is_connected )
    {
      std::ostringstream text;
      text << "value_bias has " << count << " elements, expected more than " << i / 2
           << ", since receptor " << i + 1 << " has connections; set branches before connecting";
      refuse( text.str() );
    }
  }
  branch_receptors_.resize( 2 * count );
}

void
StateSpaceNeuron::init_buffers_()
{
  input_.clear();
  currents_.clear();
  for ( Receptor& receptor : branch_receptors_ )
  {
    receptor.clear();
  }
  logger_.reset();
}

void
StateSpaceNeuron::pre_run_hook()
{
  logger_.init();
  // Kept from run to run: one may end, and the next begin, within a slice.
  membranes_.resize( nest::kernel().connection_manager.get_min_delay(), 0.0 );
  sends_graded_.reset();
  // Here, not in set_status: the resolution may have changed since.
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

double
StateSpaceNeuron::read_branch( size_t p, long lag )
{
  const double value = branch_receptors_[ 2 * p ].read( lag ) + parameters_.value_bias[ p ];
  const double gate = branch_receptors_[ 2 * p + 1 ].read( lag ) + parameters_.gate_bias[ p ];
  if ( parameters_.shift.empty() )
  {
    return value / ( 1.0 + std::exp( -gate ) );
  }
  const double z = value * gate + parameters_.shift[ p ];
  return ( ( 0.5 * z ) * ( 1.0 + std::erf( z * 0.7071067811865476 ) ) ) * parameters_.gain[ p ];
}

bool
StateSpaceNeuron::has_graded_targets()
{
  if ( not nest::kernel().connection_manager.secondary_connections_exist() )
  {
    return false;
  }
  const auto& connections = nest::kernel().connection_manager;
  const size_t thread = nest::kernel().vp_manager.get_thread_id();
  const size_t lid = nest::kernel().vp_manager.node_id_to_lid( get_node_id() );
  for ( const nest::synindex id : nest::DelayedRateConnectionEvent().get_supported_syn_ids() )
  {
    if ( not connections.get_secondary_send_buffer_positions( thread, lid, id ).empty() )
    {
      return true;
    }
  }
  return false;
}

void
StateSpaceNeuron::send_membranes()
{
  nest::DelayedRateConnectionEvent event;
  event.set_coeffarray( membranes_ );
  nest::kernel().event_delivery_manager.send_secondary( *this, event );
}

void
StateSpaceNeuron::update( nest::Time const& origin, const long from, const long to )
{
  if ( not sends_graded_ )
  {
    sends_graded_ = has_graded_targets();
  }
  const size_t n_branches = parameters_.value_bias.size();
  for ( long lag = from; lag < to; ++lag )
  {
    const long step = origin.get_steps() + lag;
    const long k = step - parameters_.first_step;
    double u = input_.spikes.get_value( lag ) + currents_.get_value( lag ); // read and cleared
    if ( input_.graded )
    {
      u += input_.graded->get_value( lag );
    }
    u += parameters_.bias;
    for ( size_t p = 0; p < n_branches; ++p )
    {
      u += read_branch( p, lag );
    }
    if ( k >= 0 )
    {
      if ( parameters_.period > 0 and k % parameters_.period == 0 )
      {
        state_.x_re.assign( state_.x_re.size(), 0.0 );
        state_.x_im.assign( state_.x_im.size(), 0.0 );
      }
      state_.u = u;
      state_.y = advance( u );
      if ( state_.y > parameters_.theta )
      {
        nest::SpikeEvent event;
        nest::kernel().event_delivery_manager.send( *this, event, lag );
      }
    }
    membranes_[ lag ] = k >= 0 ? state_.y : 0.0;
    logger_.record_data( step );
  }
  if ( *sends_graded_ and static_cast< size_t >( to ) == membranes_.size() )
  {
    send_membranes();
  }
}

struct Module : public nest::NESTExtensionInterface
{
  void
  initialize() override
  {
    nest::register_node_model< StateSpaceNeuron >( "snn_ssm_state_space", "" );
    nest::register_connection_model< GradedConnection >( "snn_ssm_graded" );
  }
};

} // namespace snn_ssm

// The symbol NEST looks up, whatever the file is called.
snn_ssm::Module module;
