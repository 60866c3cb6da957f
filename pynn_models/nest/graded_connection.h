// The synapse snn_ssm_graded: delivers weight * y of its source, step by step, `delay` later; and
// snn_ssm_difference, which delivers weight * (s[k] - s[k-1]) to who adds these up.
//
// NEST sends a secondary event once a slice of min_delay steps; it carries the values of all of
// them. PyNN labels its connections, hence SUPPORTS_LBL, which NEST's own
// rate_connection_delayed lacks. The buffers of these events are laid out when the kernel is
// prepared: a connection made later, until it is cleaned up, would write past them.

#ifndef SNN_SSM_GRADED_CONNECTION_H
#define SNN_SSM_GRADED_CONNECTION_H

#include "connection.h"
#include "event.h"
#include "exceptions.h"
#include "kernel_manager.h"

#include <memory>

namespace snn_ssm
{

// Receptors from here on add up differences for those of the same number, less this.
constexpr size_t first_of_differences = 1 << 20;

// What a source of such synapses tells of itself; one on another process is no such object.
struct Sender
{
  virtual ~Sender() = default;
  virtual bool sends_differences() const = 0;
};

template < typename targetidentifierT, bool of_differences >
class ValueConnection : public nest::Connection< targetidentifierT >
{
public:
  using CommonPropertiesType = nest::CommonSynapseProperties;
  using Base = nest::Connection< targetidentifierT >;

  static constexpr nest::ConnectionModelProperties properties =
    nest::ConnectionModelProperties::HAS_DELAY | nest::ConnectionModelProperties::SUPPORTS_LBL;

  std::unique_ptr< nest::SecondaryEvent >
  get_secondary_event()
  {
    return std::make_unique< nest::DelayedRateConnectionEvent >();
  }

  void
  check_connection( nest::Node& source,
    nest::Node& target,
    size_t receptor,
    const CommonPropertiesType& )
  {
    if ( nest::kernel().simulation_manager.has_been_prepared() )
    {
      throw nest::IllegalConnection( "a graded synapse: the kernel has been prepared; expected graded "
                                     "connections before the first run, or after Cleanup" );
    }
    const Sender* sender = dynamic_cast< const Sender* >( &source );
    if ( sender and sender->sends_differences() != of_differences )
    {
      throw nest::IllegalConnection( of_differences
          ? "snn_ssm_difference: the source has differences = 0; expected 1, or snn_ssm_graded"
          : "snn_ssm_graded: the source has differences = 1; expected 0, or snn_ssm_difference" );
    }
    const size_t at = of_differences ? receptor + first_of_differences : receptor;
    nest::DelayedRateConnectionEvent event;
    source.sends_secondary_event( event );
    event.set_sender( source );
    this->target_.set_rport( target.handles_test_event( event, at ) );
    this->target_.set_target( &target );
  }

  bool
  send( nest::Event& event, size_t thread, const CommonPropertiesType& )
  {
    event.set_weight( weight_ );
    event.set_delay_steps( Base::get_delay_steps() );
    event.set_receiver( *Base::get_target( thread ) );
    event.set_rport( Base::get_rport() );
    event();
    return true;
  }

  void
  get_status( Dictionary& dict ) const
  {
    Base::get_status( dict );
    dict[ nest::names::weight ] = weight_;
    dict[ nest::names::size_of ] = static_cast< long >( sizeof( *this ) );
  }

  void
  set_status( const Dictionary& dict, nest::ConnectorModel& model )
  {
    Base::set_status( dict, model );
    dict.update_value( nest::names::weight, weight_ );
  }

  // NEST calls it where a weight comes without a dictionary.
  void
  set_weight( double weight )
  {
    weight_ = weight;
  }

private:
  double weight_ = 1.0;
};

template < typename targetidentifierT >
using GradedConnection = ValueConnection< targetidentifierT, false >;

template < typename targetidentifierT >
using DifferenceConnection = ValueConnection< targetidentifierT, true >;

} // namespace snn_ssm

#endif
