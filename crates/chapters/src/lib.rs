//! The chapters of the guide as rustdoc modules.
