//! What may differ from run to run, and the names by which expected outputs call it.
//!
//! An expected output is a list of templates, one a line. A line with `<duration>` in it stands for any line with some
//! duration there; everything else is literal. So the file itself says what is checked and what is not, and a reader sees
//! it in the book as it is.
//!
//! When an output is written for the first time, every value that [`MASKS`] finds is masked. A value that is the same
//! in every run may then be put back by hand: a line that still fits is left as it is.

use std::sync::LazyLock;

use regex::Regex;

/// One kind of value.
pub struct Mask {
    /// As it stands in an expected output.
    pub name: &'static str,
    /// What it stands for.
    pub value: &'static str,
    /// Where to find it in a new output; the group is the value. `None` if it is only ever put in by hand.
    pub found: Option<&'static str>,
}

/// All masks, in the order in which they are looked for.
pub const MASKS: [Mask; 7] = [
    // Wherever the guide is. First, for an address holds digits and units.
    Mask {
        name: "<guide>",
        value: r"https://[^\s;]+",
        found: Some(r#"guide(?:: |=")(https://[^\s;]+)/[a-z]+/[a-z-]+\.html"#),
    },
    // Each system has its own words and its own number.
    Mask {
        name: "<os error>",
        value: r"[A-Z][^;:()]* \(os error \d+\)",
        found: Some(r"([A-Z][^;:()]* \(os error \d+\))"),
    },
    Mask {
        name: "<addr>",
        value: r"(?:\d{1,3}(?:\.\d{1,3}){3}|\[::1\]):\d{1,5}",
        found: Some(r"((?:\d{1,3}(?:\.\d{1,3}){3}|\[::1\]):\d{1,5})"),
    },
    Mask { name: "<port>", value: r"\d{1,5}", found: Some(r"(?-u:\b)port:? (\d{1,5})(?-u:\b)") },
    Mask {
        name: "<duration>",
        value: r"\d+(?:\.\d+)? ?(?:ns|µs|us|ms|s|min|h)",
        found: Some(r"(?-u:\b)(\d+(?:\.\d+)? ?(?:ns|µs|us|ms|s|min|h))(?-u:\b)"),
    },
    Mask {
        name: "<rate>",
        value: r"\d[\d,. ]*(?:[kMG])?/s",
        found: Some(r"(?-u:\b)(\d[\d,. ]*(?:[kMG])?/s)"),
    },
    Mask { name: "<count>", value: r"\d[\d,]*", found: None },
];

static FOUND: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let found = MASKS.iter().filter_map(|mask| Some((mask.found?, mask.name)));
    found.map(|(pattern, name)| (Regex::new(pattern).expect("a valid pattern"), name)).collect()
});

/// Whether the line is what the template stands for.
pub fn fits(template: &str, line: &str) -> bool {
    if template == line {
        return true;
    }
    if !MASKS.iter().any(|mask| template.contains(mask.name)) {
        return false;
    }
    let mut pattern = regex::escape(template);
    for mask in &MASKS {
        pattern = pattern.replace(&regex::escape(mask.name), mask.value);
    }
    Regex::new(&format!("^{pattern}$")).is_ok_and(|regex| regex.is_match(line))
}

/// Replaces every value that can be found by its name.
pub fn mask(line: &str) -> String {
    let mut masked = line.to_owned();
    for (regex, name) in FOUND.iter() {
        let mut next = String::new();
        let mut copied = 0;
        for found in regex.captures_iter(&masked) {
            let Some(value) = found.get(1) else { continue };
            next.push_str(&masked[copied..value.start()]);
            next.push_str(name);
            copied = value.end();
        }
        next.push_str(&masked[copied..]);
        masked = next;
    }
    masked
}

/// The output as templates: a line that fits an expected one is written like it, and every other is masked.
///
/// If the output fits the expected text line by line, the result is the expected text.
pub fn render(output: &str, expected: &str) -> String {
    let templates: Vec<&str> = expected.lines().collect();
    let mut next = 0;
    let mut rendered = String::new();
    for line in output.lines().map(str::trim_end) {
        let position = templates[next..].iter().position(|template| fits(template, line));
        if let Some(position) = position {
            next += position;
            rendered.push_str(templates[next]);
            next += 1;
        } else if let Some(parts) = templates.get(next).and_then(|template| render_parts(line, template)) {
            rendered.push_str(&parts);
            next += 1;
        } else {
            rendered.push_str(&mask(line));
        }
        rendered.push('\n');
    }
    rendered
}

/// A line of which a part has changed, as our messages have parts: the other parts are written like the template's.
/// `None` if no part is still the same.
fn render_parts(line: &str, template: &str) -> Option<String> {
    let mut same = false;
    let parts: Vec<String> = line
        .split("; ")
        .map(|part| match template.split("; ").find(|template| fits(template, part)) {
            Some(template) => {
                same = true;
                template.to_owned()
            }
            None => mask(part),
        })
        .collect();
    same.then(|| parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_masked_by_name() {
        assert_eq!(
            mask("127.0.0.1:45123 on port 8080 took 1.25 ms, 3s and 12µs"),
            "<addr> on port <port> took <duration>, <duration> and <duration>"
        );
        assert_eq!(mask("cannot dial: Connection refused (os error 111); x"), "cannot dial: <os error>; x");
        assert_eq!(mask("a; guide: https://guide.example/b/c-d.html"), "a; guide: <guide>/b/c-d.html");
        assert_eq!(mask("10 connections, 3 steps, 1,200/s"), "10 connections, 3 steps, <rate>");
    }

    #[test]
    fn a_template_fits_only_what_it_says() {
        assert!(fits("took <duration>", "took 12.5ms"));
        assert!(!fits("took <duration>", "took long"));
        assert!(!fits("took <duration>", "it took 12.5ms"));
        assert!(!fits("took 12ms", "took 13ms"));
        assert!(fits("<count> of (10)", "7 of (10)"));
    }

    #[test]
    fn hand_made_templates_survive_as_long_as_they_fit() {
        let expected = "waited 30s, of <duration>\nheld <count> times\n";
        assert_eq!(render("waited 30s, of 7ms\nheld 3 times\n", expected), expected);
        assert_eq!(
            render("new 1ms\nwaited 30s, of 7ms\n", expected),
            "new <duration>\nwaited 30s, of <duration>\n"
        );
        assert_eq!(render("waited 31s, of 7ms\n", expected), "waited <duration>, of <duration>\n");
        assert_eq!(
            render("held 3 times; guide: 5s\n", "held <count> times; see 4s\n"),
            "held <count> times; guide: <duration>\n"
        );
    }
}
