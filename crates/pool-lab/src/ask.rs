//! What a page asks of the lab: texts in, JSON out.

use crate::drive::run;
use crate::need::Need;
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
    let answer = answer(question, text);
    answer.unwrap_or_else(|error| error_json(&error))
}

fn answer(question: Question, text: &str) -> Result<String, KnobError> {
    Ok(match question {
        Question::Run => report(&run(&Scenario::parse(text)?)),
        Question::Size => sizing_json(&size(&Need::parse(text)?)?),
        Question::Sweep => {
            let scenario = Scenario::parse(text)?;
            sweep_json(&scenario, &sweep(&scenario)?)
        }
    })
}
