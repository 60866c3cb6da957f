// The parameters of the state-space neuron, and what NEST is told of values that cannot be used.
// Equations: state_space.cpp. Units and meanings: pynn_models/cells/.

#ifndef SNN_SSM_PARAMETERS_H
#define SNN_SSM_PARAMETERS_H

#include "parts.h"
#include "refusals.h"
#include "schedule.h"

#include "dict_util.h"
#include "nest_types.h"
#include "node.h"

#include <cmath>
#include <cstddef>
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
  Schedule schedule;
  std::vector< double > value_bias; // one a branch, as the three below
  std::vector< double > gate_bias;
  std::vector< double > shift; // empty for glu
  std::vector< double > gain;  // empty for glu
  Parts parts;

  void get( Dictionary& dict ) const;
  void set( const Dictionary& dict, nest::Node* node );
  void validate() const;
};

inline void
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
  schedule.get( dict );
  parts.get( dict );
}

inline void
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
  schedule.set( dict );
  parts.set( dict );
  validate();
}

inline void
Parameters::validate() const
{
  const size_t n_modes = tau.size();
  const size_t n_imaginary = omega.empty() ? 0 : n_modes;
  require_length( "c_re", c_re.size(), n_modes, "one a mode, as tau" );
  require_length( "omega", omega.size(), n_imaginary, "one a mode, as tau, or none if real" );
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
  schedule.validate();
  parts.validate( n_modes, n_imaginary, theta );
}

} // namespace snn_ssm

#endif
