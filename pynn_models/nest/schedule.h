// When a neuron's samples begin and end, which all neurons here share.

#ifndef SNN_SSM_SCHEDULE_H
#define SNN_SSM_SCHEDULE_H

#include "refusals.h"

#include "dict_util.h"

#include <sstream>

namespace snn_ssm
{

struct Schedule
{
  long first_step = 0;
  long period = 0;
  long active = 0;

  void
  get( Dictionary& dict ) const
  {
    dict[ "first_step" ] = first_step;
    dict[ "period" ] = period;
    dict[ "active" ] = active;
  }

  void
  set( const Dictionary& dict )
  {
    dict.update_integer_value( "first_step", first_step );
    dict.update_integer_value( "period", period );
    dict.update_integer_value( "active", active );
  }

  void
  validate() const
  {
    require_not_negative( "first_step", first_step );
    require_not_negative( "period", period );
    require_not_negative( "active", active );
    if ( active > period )
    {
      std::ostringstream text;
      text << "active is " << active << " steps, expected at most the period, " << period;
      refuse( text.str() );
    }
  }

  // Whether k is a step of a sample: not before the first one, nor in the silence between two.
  bool
  is_active( long k ) const
  {
    return k >= 0 and ( active == 0 or k % period < active );
  }

  // Whether k is the first step of a sample.
  bool
  begins( long k ) const
  {
    return period > 0 and k % period == 0;
  }
};

} // namespace snn_ssm

#endif
