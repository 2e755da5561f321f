//! Tables in Markdown.

/// Of numbers, which stand to the right. With a header and at least one row.
pub(crate) fn markdown(header: &[&str], rows: &[Vec<String>]) -> String {
    table(header, rows, "---:")
}

/// Of words, which stand to the left.
pub(crate) fn of_words(header: &[&str], rows: &[Vec<String>]) -> String {
    table(header, rows, "---")
}

fn table(header: &[&str], rows: &[Vec<String>], rule: &str) -> String {
    let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
    let mut text = line(header.to_vec());
    text += &line(
        header
            .iter()
            .enumerate()
            .map(|(at, _)| if at == 0 { "---" } else { rule })
            .collect(),
    );
    for row in rows {
        text += &line(row.iter().map(String::as_str).collect());
    }
    text
}
