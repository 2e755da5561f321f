//! The test pages. A page's questions are in `book/data/quizzes/NAME.toml`; its block `quiz-NAME` is made from them.
//!
//! Nobody writes down which choice is right. A question says where its answer stands in what a program printed: in the
//! output of an example, or in a table of an experiment. The choice that says the same is the right one. When the program
//! prints something else, another choice becomes the right one, or none, and then the question is wrong.
//!
//! The page works without its script: each answer unfolds.

mod page;
mod source;

use std::fs;
use std::path::Path;

use crate::Generators;
use source::Quiz;

/// Where the questions are, relative to the repository.
const FOLDER: &str = "book/data/quizzes";

/// The generated blocks: the questions of each test page. `tables` makes the tables that questions ask about.
pub(crate) fn generators(root: &Path, generators: Generators, tables: fn(&Path) -> Generators) -> Generators {
    names(root).into_iter().fold(generators, |generators, name| {
        let root = root.to_owned();
        let block = format!("quiz-{name}");
        generators.with_fallible(&block, move || {
            let file = format!("{FOLDER}/{name}.toml");
            block_of(&root, &file, tables).map_err(|lack| format!("{file}: {lack}"))
        })
    })
}

fn names(root: &Path) -> Vec<String> {
    let files = fs::read_dir(root.join(FOLDER)).into_iter().flatten().flatten();
    let names = files.filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".toml")?.to_owned()));
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn block_of(root: &Path, file: &str, tables: fn(&Path) -> Generators) -> Result<String, String> {
    let text = fs::read_to_string(root.join(file)).map_err(|error| error.to_string())?;
    let quiz: Quiz = toml::from_str(&text).map_err(|error| error.to_string())?;
    let tables = tables(root);
    let mut questions = Vec::new();
    for (index, question) in quiz.question.iter().enumerate() {
        let asked = |lack: String| format!("question {}, `{}`: {lack}", index + 1, question.ask);
        let answer = question.answer(root, &tables).map_err(asked)?;
        questions.push((question, answer));
    }
    page::block(root, &quiz, &questions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    const QUESTION: &str = "page = \"book/src/a.md\"\n\n[[question]]\nask = \"How many?\"\noutput = \"x\"\n\
        under = \"== after\"\nanswer = 'served: (\\d+)'\nchoices = [{ value = \"1\" }, { value = \"2\", text = \"Both\" }]\n\
        because = \"It is so.\"\nread = \"b/c.md#d\"\n";
    const OUTPUT: &str = "== before\nserved: 1\n== after\nserved: 2 of 3\n";

    fn tables(_: &Path) -> Generators {
        Generators::new().with("t", || "| who | how many |\n|---|--:|\n| a | 1 |\n| b | 2 |\n".to_owned())
    }

    fn made(question: &str, output: &str) -> Result<String, String> {
        let fixture = Fixture::new(&[
            ("book/src/a.md", "# A\n"),
            ("book/src/b/c.md", "# The title\n"),
            ("book/data/quizzes/one.toml", question),
            ("examples/output/x.txt", output),
        ]);
        let generators = generators(&fixture.book.root, Generators::new(), tables);
        generators.generate("quiz-one").expect("a block for the file")
    }

    #[test]
    fn the_choice_that_the_program_printed_is_right() {
        let text = made(QUESTION, OUTPUT).unwrap();
        assert!(text.contains("## 1. How many?"), "{text}");
        assert!(text.contains("- <label><input type=\"radio\" name=\"q1\"> 1</label>"), "{text}");
        assert!(
            text.contains("- <label><input type=\"radio\" name=\"q1\" data-right> Both</label>"),
            "{text}"
        );
        assert!(text.contains("```text\nserved: 2 of 3\n```"), "{text}");
        assert!(text.contains("[The title](b/c.md#d)"), "{text}");
        let other = made(QUESTION, &OUTPUT.replace("2 of 3", "1 of 3")).unwrap();
        assert!(
            other.contains("name=\"q1\" data-right> 1</label>"),
            "another output, another answer: {other}"
        );
    }

    #[test]
    fn an_answer_may_be_a_cell_of_a_table() {
        let question = QUESTION
            .replace("output = \"x\"\nunder = \"== after\"", "table = \"t\"")
            .replace(r"served: (\d+)", r"^\| b \| (\d+) \|");
        let text = made(&question, "").unwrap();
        assert!(text.contains("| who | how many |\n|---|--:|\n| b | 2 |\n"), "{text}");
        assert!(text.contains("data-right> Both"), "{text}");
    }

    #[test]
    fn a_question_without_one_right_answer_is_refused() {
        let wrong = [
            ("value = \"2\"", "value = \"3\"", "the program printed `2`, and 0 choices say so"),
            ("value = \"1\"", "value = \"2\"", "the program printed `2`, and 2 choices say so"),
            ("served: ", "served by: ", "matches 0 times"),
            ("under = \"== after\"\n", "", "matches 2 times"),
            ("== after", "== later", "no line `== later`"),
            ("output = \"x\"", "output = \"y\"", "examples/output/y.txt"),
            ("output = \"x\"\n", "", "either `output` or `table`"),
            ("b/c.md", "b/d.md", "book/src/b/d.md"),
            ("ask =", "question =", "unknown field `question`"),
            ("\\d+", "(\\d+)", "one group"),
        ];
        for (from, to, lack) in wrong {
            let question = QUESTION.replace(from, to);
            assert_ne!(question, QUESTION, "{from}");
            let error = made(&question, OUTPUT).expect_err(lack);
            assert!(error.contains(lack) && error.contains("quizzes/one.toml"), "{lack}: {error}");
        }
    }
}
