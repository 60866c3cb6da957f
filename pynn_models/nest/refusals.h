// What NEST is told of parameters of a neuron that cannot be used.

#ifndef SNN_SSM_REFUSALS_H
#define SNN_SSM_REFUSALS_H

#include "exceptions.h"

#include <cmath>
#include <cstddef>
#include <sstream>
#include <string>
#include <vector>

namespace snn_ssm
{

inline void
refuse( const std::string& text )
{
  throw nest::BadProperty( "snn_ssm: " + text );
}

inline void
require_finite( const std::string& name, double value )
{
  if ( not std::isfinite( value ) )
  {
    std::ostringstream text;
    text << name << " is " << value << ", expected a finite number";
    refuse( text.str() );
  }
}

inline void
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

inline void
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

inline void
require_not_negative( const std::string& name, long value )
{
  if ( value < 0 )
  {
    std::ostringstream text;
    text << name << " is " << value << ", expected a number of steps >= 0";
    refuse( text.str() );
  }
}

inline void
require_flag( const std::string& name, long value )
{
  if ( value != 0 and value != 1 )
  {
    std::ostringstream text;
    text << name << " is " << value << ", expected 0 or 1";
    refuse( text.str() );
  }
}

} // namespace snn_ssm

#endif
