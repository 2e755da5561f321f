//! The calculators of the pages "Sizing your pool" and "Fleets": a form for those who have the script, and a table for
//! everybody. Both are made from the arithmetic in `experiments::calculators`.

use experiments::calculators::{Calculator, FLEET, Field, SIZING, held, share, size};

use crate::Block;
use crate::canvas::escape;
use crate::format::count;
use crate::tables::{head, row};

pub(crate) fn blocks() -> [(String, Block); 4] {
    [
        ("calculator-sizing".to_owned(), Box::new(|_| Ok(form(&SIZING)))),
        ("calculator-sizing-table".to_owned(), Box::new(|_| Ok(sizes()))),
        ("calculator-fleet".to_owned(), Box::new(|_| Ok(form(&FLEET)))),
        ("calculator-fleet-table".to_owned(), Box::new(|_| Ok(shares()))),
    ]
}

/// HTML without a blank line, for that would end it in Markdown.
fn form(calculator: &Calculator) -> String {
    let fields: String = calculator.fields.iter().map(|of| field(calculator.name, of)).collect();
    let ids: Vec<String> =
        calculator.fields.iter().map(|field| format!("{}-{}", calculator.name, field.name)).collect();
    format!(
        "<form class=\"calculator\" data-calculator=\"{}\" autocomplete=\"off\">\n<fieldset>\n<legend>{}</legend>\n{fields}\
         </fieldset>\n<output for=\"{}\" aria-live=\"polite\">{}</output>\n</form>",
        calculator.name,
        calculator.title,
        ids.join(" "),
        escape(&calculator.example()),
    )
}

fn field(calculator: &str, field: &Field) -> String {
    let id = format!("{calculator}-{}", field.name);
    let (least, most) = (field.least, field.most);
    let (mode, whole) = if field.whole { ("numeric", " data-whole") } else { ("decimal", "") };
    format!(
        "<p><label for=\"{id}\">{}</label>\n<span><input id=\"{id}\" name=\"{}\" type=\"text\" inputmode=\"{mode}\" \
         value=\"{}\" data-least=\"{least}\" data-most=\"{most}\"{whole} aria-describedby=\"{id}-unit\">\
         <span id=\"{id}-unit\">{}</span></span></p>\n",
        escape(field.label),
        field.name,
        field.example,
        field.unit,
    )
}

/// The size of a pool by rate and hold.
fn sizes() -> String {
    const HOLDS: [f64; 5] = [5.0, 20.0, 50.0, 100.0, 500.0];
    let header: Vec<String> = std::iter::once("requests a second".to_owned())
        .chain(HOLDS.map(|hold| format!("held {hold} ms")))
        .collect();
    let line = |rate: f64| {
        let cells = HOLDS.map(|hold| count(size(held(rate, hold))));
        row(&std::iter::once(count(rate)).chain(cells).collect::<Vec<_>>())
    };
    format!("{}{}", head(&header, 0), [10.0, 50.0, 100.0, 500.0, 2000.0].map(line).concat())
}

/// The share of each pool by what is left for the fleet and how many pools are alive.
fn shares() -> String {
    const POOLS: [f64; 6] = [2.0, 4.0, 8.0, 16.0, 32.0, 64.0];
    let header: Vec<String> = std::iter::once("left for the fleet".to_owned())
        .chain(POOLS.map(|pools| format!("{pools} pools")))
        .collect();
    let line = |left: f64| {
        let cell = |pools| match share(left, pools) {
            0.0 => "none".to_owned(),
            share => count(share),
        };
        row(&std::iter::once(count(left)).chain(POOLS.map(cell)).collect::<Vec<_>>())
    };
    format!("{}{}", head(&header, 0), [50.0, 85.0, 190.0, 480.0].map(line).concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_has_a_label_and_a_unit_for_each_field_and_no_blank_line() {
        for calculator in [&SIZING, &FLEET] {
            let form = form(calculator);
            assert!(!form.contains("\n\n"), "a blank line ends HTML in Markdown:\n{form}");
            for field in calculator.fields {
                let id = format!("{}-{}", calculator.name, field.name);
                assert!(
                    form.contains(&format!("<label for=\"{id}\">"))
                        && form.contains(&format!("id=\"{id}-unit\""))
                );
            }
            assert!(form.contains("aria-live=\"polite\""));
        }
    }

    #[test]
    fn the_tables_have_the_examples_of_the_pages() {
        assert!(sizes().contains("\n| 100 | 2 | 5 | 10 | 17 | 65 |\n"), "{}", sizes());
        assert!(shares().contains("\n| 85 | 42 | 21 | 10 | 5 | 2 | 1 |\n"), "{}", shares());
        assert!(shares().contains("| none |"), "{}", shares());
    }
}
