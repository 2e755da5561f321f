//! Panics that a scenario wants, told from those that say that it has failed.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

struct Planned;

/// Panics as code of the user's may, without a word from the panic hook: many thousand come.
pub fn panic_as_planned() -> ! {
    resume_unwind(Box::new(Planned))
}

/// What `code` returns, or `None` if it panics as planned.
pub fn catch_planned<T>(code: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(code))
        .map_err(|payload| {
            if !payload.is::<Planned>() {
                resume_unwind(payload);
            }
        })
        .ok()
}
