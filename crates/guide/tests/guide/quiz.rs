//! The test pages of the real book: they can be read without their script, and the script answers, in a real browser.

use std::fs;
use std::path::PathBuf;

use test_servers::{Chromium, start_or_skip};

use crate::search::BOOK;
use crate::search_box::visit;

const PAGES: [&str; 8] = [
    "three-minutes",
    "tutorial/test-yourself",
    "guide/test-holding",
    "guide/test-program",
    "guide/test-server",
    "guide/test-services",
    "troubleshooting/test-yourself",
    "performance/test-yourself",
];

/// The parts of a text between two marks.
fn between<'a>(text: &'a str, start: &str, end: &str) -> Vec<&'a str> {
    text.split(start).skip(1).map(|rest| rest.split(end).next().unwrap_or_default()).collect()
}

fn page(name: &str) -> PathBuf {
    BOOK.join(format!("{name}.html"))
}

/// Each question has its text as the legend, at least two choices with labels, exactly one of them right, and an answer that
/// unfolds.
#[test]
fn test_pages_can_be_read_without_a_script() {
    for name in PAGES {
        let html = fs::read_to_string(page(name)).unwrap();
        let questions = between(&html, "<fieldset class=\"quiz\">", "</fieldset>");
        assert_eq!(questions.len(), 5, "{name}");
        for question in questions {
            let legend = between(question, "<legend>", "</legend>");
            assert!(legend.len() == 1 && legend[0].contains("<h2"), "{name}: {question}");
            let labels = between(question, "<label>", "</label>");
            assert!(
                labels.len() >= 2 && labels.iter().all(|label| label.contains("type=\"radio\"")),
                "{name}: {question}"
            );
            assert_eq!(question.matches("data-right").count(), 1, "{name}: {question}");
            let answer = between(question, "<details>", "</details>");
            assert!(
                answer.len() == 1 && answer[0].contains("<summary>Answer</summary>"),
                "{name}: {question}"
            );
            assert!(answer[0].contains("Read on: <a href="), "{name}: {question}");
            assert!(!question.contains("hidden"), "{name}: {question}");
        }
    }
}

/// What the page shows after this script, which says what it sees by `see`.
fn act(chromium: &Chromium, name: &str, script: &str) -> Vec<String> {
    let html = fs::read_to_string(page(name)).unwrap();
    let script = format!(
        "<pre id=seen></pre><script>
        const seen = document.getElementById('seen');
        const see = (text) => {{ seen.textContent += text + '\\n'; }};
        const questions = Array.from(document.querySelectorAll('fieldset.quiz'));
        const says = (question) => question.querySelector('[role=status]').textContent;
        const answer = (question, right) => {{
            question.querySelector(right ? '[data-right]' : 'input:not([data-right])').click();
            question.querySelector('.quiz-check').click();
        }};
        const result = document.querySelector('.quiz-result');
        const pages = () => Array.from(result.querySelectorAll('a')).map((link) => link.textContent);
        {script}
        </script>"
    );
    // Beside the page, for its links lead from there. A name for each test, as they run at once.
    let test = std::thread::current().name().unwrap_or_default().replace("::", "-");
    let answered = page(name).with_file_name(format!("{test}.html"));
    fs::write(&answered, html.replace("</body>", &format!("{script}</body>"))).unwrap();
    let text = visit(chromium, &answered, "");
    let seen = between(&text, "<pre id=\"seen\">", "</pre>");
    seen.first().expect("the script has run").lines().map(str::to_owned).collect()
}

#[test]
fn a_choice_gets_feedback() {
    let chromium = start_or_skip!(Chromium::find());
    let seen = act(
        &chromium,
        "guide/test-program",
        "const [first] = questions;
        const button = first.querySelector('.quiz-check');
        see(button.type + ' ' + button.textContent);
        button.click(); see(says(first));
        answer(first, false); see(says(first)); see(first.querySelector('details').open);
        answer(first, true); see(says(first)); see(first.querySelector('details').open);
        see(result.textContent.length);
        questions.slice(1).forEach((question) => answer(question, true));
        see(result.querySelector('p').textContent); see(pages());",
    );
    let wanted = [
        "button Check",
        "Choose an answer first.",
        "No. Choose again, or unfold the answer.",
        "false",
        "Right.",
        "true",
        "0",
        "Right at once: 4 of 5. Read these pages:",
        "Fan-out without deadlock",
    ];
    assert_eq!(seen, wanted);
}

/// The arrows move among the choices. On any other part of a page they turn it.
#[test]
#[ignore = "long: drives a browser"]
fn the_arrow_keys_stay_in_the_question() {
    let chromium = start_or_skip!(Chromium::find());
    let seen = act(
        &chromium,
        "guide/test-program",
        "document.addEventListener('keydown', (event) => see(event.target.type ?? event.target.localName));
        const press = (on) => on.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight', bubbles: true }));
        press(questions[0].querySelector('input'));
        see('nothing so far');
        // Escape, for that one turns no page.
        questions[0].querySelector('summary').dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', bubbles: true }));",
    );
    assert_eq!(seen, ["nothing so far", "summary"]);
}

/// Whatever one answers, the short test ends in three pages: those of the questions that were missed come first.
#[test]
#[ignore = "long: drives a browser"]
fn the_short_test_ends_in_three_pages() {
    let chromium = start_or_skip!(Chromium::find());
    let all = "questions.forEach((question) => answer(question, RIGHT)); see(pages().length);";
    for right in ["true", "false"] {
        assert_eq!(act(&chromium, "three-minutes", &all.replace("RIGHT", right)), ["3"], "all {right}");
    }
    let one = "questions.forEach((question, index) => answer(question, index !== 3)); see(pages()[0]);";
    let seen = act(&chromium, "three-minutes", one);
    assert_eq!(seen, ["It deadlocks at exactly N"]);
}
