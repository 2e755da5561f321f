//! The Pool Lab as a WebAssembly module: texts in, texts out.
//!
//! The script writes a text into the memory that [`input`] gives, calls [`knobs`], [`run`], [`size`] or [`sweep`], and reads the answer at
//! [`output`]. The module asks its host for a clock, once, which may stand still: the lab's own clock is paused.

use std::cell::RefCell;

use pool_lab::{Question, ask, knobs_json};

thread_local! {
    static INPUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static OUTPUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Where the next text of so many bytes is to be written.
// SAFETY: no other function of the module has one of these names.
#[unsafe(no_mangle)]
pub extern "C" fn input(length: usize) -> *mut u8 {
    INPUT.with_borrow_mut(|input| {
        input.clear();
        input.resize(length, 0);
        input.as_mut_ptr()
    })
}

/// Where the last answer stands.
// SAFETY: as above.
#[unsafe(no_mangle)]
pub extern "C" fn output() -> *const u8 {
    OUTPUT.with_borrow(Vec::as_ptr)
}

/// Every knob and preset, as JSON. Returns its length.
// SAFETY: as above.
#[unsafe(no_mangle)]
pub extern "C" fn knobs() -> usize {
    answer(knobs_json())
}

/// Runs the scenario in the input. The answer is JSON: the run, or `{"error": ...}`. Returns its length.
// SAFETY: as above.
#[unsafe(no_mangle)]
pub extern "C" fn run() -> usize {
    answer_to(Question::Run)
}

/// Sizes the pool of the scenario in the input. The answer is JSON. Returns its length.
// SAFETY: as above.
#[unsafe(no_mangle)]
pub extern "C" fn size() -> usize {
    answer_to(Question::Size)
}

/// Runs the scenario in the input at several loads. The answer is JSON. Returns its length.
// SAFETY: as above.
#[unsafe(no_mangle)]
pub extern "C" fn sweep() -> usize {
    answer_to(Question::Sweep)
}

fn answer_to(question: Question) -> usize {
    let text = INPUT.with_borrow(|input| String::from_utf8_lossy(input).into_owned());
    answer(ask(question, &text))
}

fn answer(text: String) -> usize {
    OUTPUT.with_borrow_mut(|output| {
        *output = text.into_bytes();
        output.len()
    })
}
