//! Scenarios of a few threads, in every interleaving.

mod release;
