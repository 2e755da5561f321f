//! An echo server with faults on demand.
