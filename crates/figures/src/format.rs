//! Numbers and names as the book writes them.

use crate::data::Competitor;

/// Below the limit of the style of the book.
const WIDTH: usize = 110;

/// Three digits that matter, and commas between thousands.
pub(crate) fn number(value: f64) -> String {
    let decimals = match value.abs() {
        0.0 => 0,
        tiny if tiny < 0.01 => 4,
        less if less < 0.0995 => 3,
        small if small < 9.995 => 2,
        middling if middling < 99.95 => 1,
        _ => 0,
    };
    let text = format!("{value:.decimals$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut grouped = String::new();
    for (index, digit) in whole.char_indices() {
        let left = whole.len() - index;
        if index > 0 && left.is_multiple_of(3) && !whole[..index].ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if fraction.is_empty() { grouped } else { format!("{grouped}.{fraction}") }
}

/// A whole number as such: `45`, not `45.0`.
pub(crate) fn count(value: f64) -> String {
    if value.fract() == 0.0 {
        number(value.trunc()).trim_end_matches(".00").replace(".0", "")
    } else {
        number(value)
    }
}

/// `2.10×`
pub(crate) fn times(ratio: f64) -> String {
    format!("{}×", number(ratio))
}

/// Sets in code what looks like code: `Mutex<Vec>`, `fast_pool`, `PacketPool`, `'static`.
pub(crate) fn markup(text: &str) -> String {
    let mark = |word: &str| {
        let bare = word.trim_end_matches([',', '.', ';', ':']);
        let humps = bare.chars().zip(bare.chars().skip(1)).any(|(a, b)| a.is_lowercase() && b.is_uppercase());
        let code = humps || bare.contains(['_', '<']) || bare.contains("::") || bare.starts_with('\'');
        if code { format!("`{bare}`{}", &word[bare.len()..]) } else { word.replace('|', r"\|") }
    };
    text.split(' ').map(mark).collect::<Vec<_>>().join(" ")
}

/// How the book calls a competitor in running text and in tables.
pub(crate) fn name(competitor: &Competitor) -> String {
    let name = markup(&competitor.label);
    if competitor.id == "poolhouse" { format!("**{name}**") } else { name }
}

/// Breaks running text before the column at which the style of the book does. Inline code stays whole: nobody could
/// search for it, or copy it, otherwise.
pub(crate) fn wrap(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match words.last_mut() {
            Some(code) if code.matches('`').count() % 2 == 1 => *code += &format!(" {word}"),
            _ => words.push(word.to_owned()),
        }
    }
    let mut lines = vec![String::new()];
    for word in words {
        let line = lines.last_mut().expect("there is always one");
        if line.is_empty() {
            *line = word;
        } else if line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(word);
        } else {
            *line += &format!(" {word}");
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_digits() {
        let shown = [0.0, 0.011, 1.0, 9.999, 45.0, 99.99, 1689.3, 1_234_567.0].map(number);
        assert_eq!(shown, ["0", "0.011", "1.00", "10.0", "45.0", "100", "1,689", "1,234,567"]);
        assert_eq!([8.0, 45.0, 4.5].map(count), ["8", "45", "4.50"]);
    }

    #[test]
    fn code_is_marked_and_text_is_wrapped() {
        assert_eq!(markup("Mutex<Vec>, pop a_b 'static"), "`Mutex<Vec>`, pop `a_b` `'static`");
        let (words, code) = ("word ".repeat(30), "`x y z`, ".repeat(20));
        let wrapped = wrap(&format!("{words}{}", code.trim()));
        assert!(wrapped.lines().all(|line| line.len() <= WIDTH && line.matches('`').count() % 2 == 0));
        assert_eq!(wrapped.replace('\n', " "), format!("{words}{}", code.trim()));
    }
}
