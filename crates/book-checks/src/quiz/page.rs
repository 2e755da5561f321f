//! The questions as Markdown. Text stays Markdown, so that the other checks read it.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::source::{Answer, Question, Quiz};

const CHAPTERS: &str = "book/src/";

pub(super) fn block(root: &Path, quiz: &Quiz, questions: &[(&Question, Answer)]) -> Result<String, String> {
    let folder = quiz.page.strip_prefix(CHAPTERS).ok_or("`page` is no page of book/src")?;
    let folder = folder.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut text = String::new();
    for (index, (question, answer)) in questions.iter().enumerate() {
        let number = index + 1;
        let (choices, link) = (choices(question, answer, number), link(root, folder, &question.read)?);
        let about = paragraph(&question.about);
        let code = question.code.as_ref().map_or(String::new(), |code| code_block(folder, code));
        let proof = proof(question, answer);
        let (ask, because) = (&question.ask, question.because.trim());
        let right = question.choices[answer.right].text();
        write!(
            text,
            "<fieldset class=\"quiz\">\n<legend>\n\n## {number}. {ask}\n\n</legend>\n\n{about}{code}{choices}\n\
             <details>\n<summary>Answer</summary>\n\n**{right}**\n\n{because}\n\n{proof}\
             Read on: {link}\n\n</details>\n</fieldset>\n\n"
        )
        .expect("a String can be written to");
    }
    let pages = quiz.pages.map_or(String::new(), |pages| format!(" data-pages=\"{pages}\""));
    text.push_str(&format!("<div class=\"quiz-result\" role=\"status\"{pages}></div>\n"));
    Ok(text)
}

fn paragraph(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{}\n\n", text.trim()) }
}

fn code_block(folder: &str, code: &str) -> String {
    format!("```rust\n{{{{#rustdoc_include {}../../{code}}}}}\n```\n\n", up(folder))
}

fn choices(question: &Question, answer: &Answer, number: usize) -> String {
    let mut text = String::new();
    for (index, choice) in question.choices.iter().enumerate() {
        let right = if index == answer.right { " data-right" } else { "" };
        let words = choice.text();
        text.push_str(&format!(
            "- <label><input type=\"radio\" name=\"q{number}\"{right}> {words}</label>\n"
        ));
    }
    text
}

/// What was printed, and by what.
fn proof(question: &Question, answer: &Answer) -> String {
    let lines = &answer.lines;
    match &question.output {
        Some(example) => {
            format!("From the output of `cargo run --example {example}`:\n\n```text\n{lines}\n```\n\n")
        }
        None => format!("From the table of that page:\n\n{lines}\n\n"),
    }
}

/// A link to a chapter, with its title.
fn link(root: &Path, folder: &str, to: &str) -> Result<String, String> {
    let file = format!("{CHAPTERS}{}", to.split('#').next().unwrap_or_default());
    let text = fs::read_to_string(root.join(&file)).map_err(|error| format!("{file}: {error}"))?;
    let title = text.lines().find_map(|line| line.strip_prefix("# ")).ok_or("the page has no title")?;
    let inside = to.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
    let address = match inside {
        Some(inside) => inside.to_owned(),
        None => format!("{}{to}", up(folder)),
    };
    Ok(format!("[{title}]({address})"))
}

/// From a folder of the book to `book/src`.
fn up(folder: &str) -> String {
    folder.split('/').filter(|part| !part.is_empty()).map(|_| "../").collect()
}
