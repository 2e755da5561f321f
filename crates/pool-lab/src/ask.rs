//! What a page asks of the lab: texts in, JSON out.

use crate::drive::run;
use crate::report::{error_json, report};
use crate::scenario::{KnobError, Scenario};
use crate::sizing::{size, sizing_json};
use crate::sweep::{sweep, sweep_json};

/// What can be asked of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Its run.
    Run,
    /// The size of its pool.
    Size,
    /// Its waits at several loads.
    Sweep,
}

/// The answer about the scenario that the text describes, as JSON. What is wrong with the text is an answer too.
pub fn ask(question: Question, text: &str) -> String {
    let answer = Scenario::parse(text).and_then(|scenario| answer(question, &scenario));
    answer.unwrap_or_else(|error| error_json(&error))
}

fn answer(question: Question, scenario: &Scenario) -> Result<String, KnobError> {
    Ok(match question {
        Question::Run => report(&run(scenario)),
        Question::Size => sizing_json(&size(scenario)?),
        Question::Sweep => sweep_json(scenario, &sweep(scenario)?),
    })
}
