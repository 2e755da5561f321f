//! Every example runs, and prints what the book shows.
