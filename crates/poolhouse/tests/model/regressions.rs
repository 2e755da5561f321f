//! Sequences that failed once, in their smallest form.
