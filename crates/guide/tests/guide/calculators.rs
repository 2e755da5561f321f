//! The calculators of the real book in a real browser: they say what the tested Rust says.

use std::fs;
use std::path::Path;

use experiments::calculators::{Calculator, FLEET, SIZING};
use test_servers::{Chromium, start_or_skip};

use crate::search::BOOK;

/// Numbers that people have, the limits of a field, and what is none.
const TYPED: [&str; 17] = [
    "100", "1", "7", "50", "0.3", "33.4", "2500", "0", "1000000", "1000001", "0.01", "-1", "", "1e3", "٣",
    "1,5", " 12 ",
];

/// For each field, each text in it while the others hold the example; and mixed numbers in all fields at once.
fn grid(calculator: &Calculator) -> Vec<Vec<&'static str>> {
    let example: Vec<&str> = calculator.fields.iter().map(|field| field.example).collect();
    let mut grid = vec![example.clone()];
    for place in 0..example.len() {
        for text in TYPED {
            let mut typed = example.clone();
            typed[place] = text;
            grid.push(typed);
        }
    }
    let good = ["1", "2", "5", "9", "13", "40", "85", "100", "333", "1200", "5000", "20000"];
    for round in 0..400 {
        let pick =
            |place: usize| good[(round * (2 * place + 3) + round / 7 * place + place * place) % good.len()];
        grid.push((0..example.len()).map(pick).collect());
    }
    grid
}

/// The page with a script at its end, beside it, for its links lead from there.
fn with_script(page: &Path, name: &str, script: &str) -> String {
    let html = fs::read_to_string(page).unwrap();
    let page = page.with_file_name(name);
    fs::write(&page, html.replace("</body>", &format!("<script>{script}</script></body>"))).unwrap();
    format!("file://{}", page.display())
}

fn visit(chromium: &Chromium, address: &str) -> String {
    // The grid changes the address more often than a person can.
    let flags = [
        "--disable-ipc-flooding-protection",
        "--allow-file-access-from-files",
        "--virtual-time-budget=60000",
    ];
    chromium.visit(address, &flags)
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(start).unwrap_or_else(|| panic!("no {start}"));
    rest.split_once(end).unwrap_or_else(|| panic!("no {end}")).0
}

/// Types every row of the grid as a reader does, and writes down what the page says and what its address is.
fn typed(chromium: &Chromium, calculator: &Calculator, page: &Path, rows: &[Vec<&str>]) -> Vec<String> {
    let rows = serde_json::to_string(rows).unwrap().replace("</", "<\\/");
    let script = format!(
        "const form = document.querySelector('form.calculator[data-calculator={}]');
         const inputs = Array.from(form.querySelectorAll('input'));
         const said = {rows}.map((row) => {{
             row.forEach((text, place) => {{ inputs[place].value = text; }});
             for (const event of ['input', 'change']) {{
                 inputs[0].dispatchEvent(new Event(event, {{ bubbles: true }}));
             }}
             const wrong = inputs.findIndex((input) => input.hasAttribute('aria-invalid'));
             return `${{wrong}}|${{location.hash}}|${{form.querySelector('output').textContent}}`;
         }});
         const all = document.createElement('pre');
         all.id = 'said';
         all.textContent = said.join('\\n');
         document.body.append(all);",
        calculator.name
    );
    let text = visit(chromium, &with_script(page, &format!("calculates-{}.html", calculator.name), &script));
    between(&text, "<pre id=\"said\">", "</pre>").lines().map(str::to_owned).collect()
}

#[test]
#[ignore = "long: drives a browser"]
fn the_calculators_say_what_rust_says() {
    let chromium = start_or_skip!(Chromium::find());
    for (calculator, page) in [(&SIZING, "guide/sizing.html"), (&FLEET, "performance/fleets.html")] {
        let page = BOOK.join(page);
        let rows = grid(calculator);
        let said = typed(&chromium, calculator, &page, &rows);
        assert_eq!(said.len(), rows.len(), "{said:?}");
        let mut addresses = Vec::new();
        for (row, said) in rows.iter().zip(&said) {
            let mut parts = said.splitn(3, '|');
            let mut part = || parts.next().expect("three parts").replace("&amp;", "&");
            let (wrong, address, words) = (part(), part(), part());
            let expected = calculator.answer(row);
            assert_eq!(words, expected, "{} of {row:?}", calculator.name);
            assert_eq!(wrong == "-1", !expected.contains(": give a"), "{row:?} marks field {wrong}");
            addresses.push((address, expected));
        }
        // Somebody else opens the address: one that says something of its own, and one with a text that is no number.
        let sent = [rows.len() - 5, 12];
        for place in sent {
            let (address, expected) = &addresses[place];
            let text = visit(&chromium, &format!("file://{}{address}", page.display()));
            let form = between(&text, &format!("data-calculator=\"{}\"", calculator.name), "</form>");
            assert_eq!(between(form, "aria-live=\"polite\">", "</output>"), expected, "{address}");
        }
    }
}

/// Without the script the page shows the example, and no field that does nothing.
#[test]
#[ignore = "long: drives a browser"]
fn the_form_is_there_before_the_script_and_hides_without_it() {
    for (calculator, page) in [(&SIZING, "guide/sizing.html"), (&FLEET, "performance/fleets.html")] {
        let html = fs::read_to_string(BOOK.join(page)).unwrap();
        let form = between(&html, &format!("data-calculator=\"{}\"", calculator.name), "</form>");
        for field in calculator.fields {
            let id = format!("{}-{}", calculator.name, field.name);
            assert!(
                form.contains(&format!("<label for=\"{id}\">"))
                    && form.contains(&format!("<input id=\"{id}\""))
            );
        }
        assert!(form.contains(&calculator.example()), "{form}");
    }
    let css = include_str!("../../../../book/theme/calculator.css");
    assert!(css.contains("(scripting: none)"), "{css}");
}
