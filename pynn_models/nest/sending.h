// What a neuron sends over graded synapses.

#ifndef SNN_SSM_SENDING_H
#define SNN_SSM_SENDING_H

#include "event.h"
#include "kernel_manager.h"
#include "node.h"

#include <vector>

namespace snn_ssm
{

// Whether a node has graded synapses, or ones of differences, to anyone.
inline bool
has_graded_targets( const nest::Node& node )
{
  if ( not nest::kernel().connection_manager.secondary_connections_exist() )
  {
    return false;
  }
  const auto& connections = nest::kernel().connection_manager;
  const size_t thread = nest::kernel().vp_manager.get_thread_id();
  const size_t lid = nest::kernel().vp_manager.node_id_to_lid( node.get_node_id() );
  for ( const nest::synindex id : nest::DelayedRateConnectionEvent().get_supported_syn_ids() )
  {
    if ( not connections.get_secondary_send_buffer_positions( thread, lid, id ).empty() )
    {
      return true;
    }
  }
  return false;
}

// The values of a whole slice of min_delay steps.
inline void
send_values( nest::Node& node, std::vector< double >& values )
{
  nest::DelayedRateConnectionEvent event;
  event.set_coeffarray( values );
  nest::kernel().event_delivery_manager.send_secondary( node, event );
}

} // namespace snn_ssm

#endif
