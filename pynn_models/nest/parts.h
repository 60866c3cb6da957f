// The optional parts of the state-space neuron: reset, threshold history, multiplicity, differences.
//
//   z = x - r*s[k-1]  (soft)   or 0 after a spike  (hard)      before the modes advance
//   x = 0                                                      hard, while it rests
//   h = ((0 + a[0]*p[k-1]) + a[1]*p[k-2]) + ...                a[j] counts where p is 1
//   s = number of thresholds j with y > theta_j + h; 0 while it rests
//   p[k] = y > theta;   rest = refractory after a spike, else one less down to 0
//   sent: s[k] - s[k-1] to graded targets, with differences
//
// theta_j: theta, then those in `further`. A neuron without any of these has no Feedback, and its
// update does not read what is here. Equations and order: pynn_models/cells/state_space.py.

#ifndef SNN_SSM_PARTS_H
#define SNN_SSM_PARTS_H

#include "refusals.h"

#include "dict_util.h"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <sstream>
#include <vector>

namespace snn_ssm
{

constexpr size_t longest_history = 32;

struct Parts
{
  std::vector< double > r_re; // empty: no soft reset
  std::vector< double > r_im; // empty for real modes
  std::vector< double > a;    // a[j] counts the pre-spike of j + 1 steps before
  std::vector< double > further;
  long hard_reset = 0;
  long refractory = 0;
  long differences = 0;

  bool
  any() const
  {
    return hard_reset or refractory > 0 or differences or not( r_re.empty() and a.empty() and further.empty() );
  }

  void get( Dictionary& dict ) const;
  void set( const Dictionary& dict );
  void validate( size_t n_modes, size_t n_imaginary, double theta ) const;
};

// What such a neuron remembers besides its modes.
struct Feedback
{
  long spikes = 0;           // s of the step before
  long difference = 0;       // s[k] - s[k-1] of the same step
  long rest = 0;             // steps for which it is silent yet
  std::uint32_t history = 0; // bit j: p of j + 1 steps before

  // Before the modes advance.
  void
  take( const Parts& parts, std::vector< double >& x_re, std::vector< double >& x_im ) const
  {
    if ( spikes == 0 )
    {
      return;
    }
    if ( parts.hard_reset )
    {
      x_re.assign( x_re.size(), 0.0 );
      x_im.assign( x_im.size(), 0.0 );
      return;
    }
    const double s = spikes;
    for ( size_t n = 0; n < parts.r_re.size(); ++n )
    {
      x_re[ n ] -= parts.r_re[ n ] * s;
    }
    for ( size_t n = 0; n < parts.r_im.size(); ++n )
    {
      x_im[ n ] -= parts.r_im[ n ] * s;
    }
  }

  // The spikes of a membrane, which is 0 + d*u by now where a hard reset rests.
  long
  fire( const Parts& parts, double theta, double y )
  {
    double h = 0.0;
    for ( size_t j = 0; j < parts.a.size(); ++j )
    {
      if ( history >> j & 1 )
      {
        h += parts.a[ j ];
      }
    }
    const long before = spikes;
    spikes = 0;
    if ( rest == 0 )
    {
      spikes = y > theta + h;
      for ( const double next : parts.further )
      {
        spikes += y > next + h;
      }
    }
    difference = spikes - before;
    if ( not parts.a.empty() )
    {
      history = history << 1 | static_cast< std::uint32_t >( y > theta );
    }
    rest = spikes > 0 ? parts.refractory : ( rest > 0 ? rest - 1 : 0 );
    return spikes;
  }
};

inline void
Parts::get( Dictionary& dict ) const
{
  dict[ "r_re" ] = r_re;
  dict[ "r_im" ] = r_im;
  dict[ "hard_reset" ] = hard_reset;
  dict[ "refractory" ] = refractory;
  dict[ "a" ] = a;
  dict[ "further" ] = further;
  dict[ "differences" ] = differences;
}

inline void
Parts::set( const Dictionary& dict )
{
  dict.update_value( "r_re", r_re );
  dict.update_value( "r_im", r_im );
  dict.update_integer_value( "hard_reset", hard_reset );
  dict.update_integer_value( "refractory", refractory );
  dict.update_value( "a", a );
  dict.update_value( "further", further );
  dict.update_integer_value( "differences", differences );
}

inline void
Parts::validate( size_t n_modes, size_t n_imaginary, double theta ) const
{
  require_flag( "hard_reset", hard_reset );
  require_flag( "differences", differences );
  if ( hard_reset and not( r_re.empty() and r_im.empty() ) )
  {
    refuse( "r_re or r_im is given with hard_reset = 1, expected one or the other" );
  }
  const size_t n_soft = r_re.empty() ? 0 : n_modes;
  require_length( "r_re", r_re.size(), n_soft, "one a mode, as tau, or none" );
  require_length(
    "r_im", r_im.size(), r_re.empty() ? 0 : n_imaginary, "one a mode, as omega, or none" );
  require_finite( "r_re", r_re );
  require_finite( "r_im", r_im );
  require_finite( "a", a );
  require_not_negative( "refractory", refractory );
  if ( a.size() > longest_history )
  {
    std::ostringstream text;
    text << "a has " << a.size() << " elements, expected at most " << longest_history;
    refuse( text.str() );
  }
  double before = theta;
  for ( size_t j = 0; j < further.size(); ++j )
  {
    if ( not( further[ j ] >= before ) ) // also refuses NaN
    {
      std::ostringstream text;
      text << "further[" << j << "] is " << further[ j ] << ", expected at least " << before
           << ", the threshold before it";
      refuse( text.str() );
    }
    before = further[ j ];
  }
}

} // namespace snn_ssm

#endif
