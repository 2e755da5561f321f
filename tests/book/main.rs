//! The book's own checks: links, snippets, outputs, numbers, words. Each is a test; what it found is its message.
//!
//! The checks themselves, and the tests that break every rule on purpose, are in `crates/book-checks`.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::{env, fs};

use book_checks::{Book, Generators, assert_none, generators};
use book_checks::{
    addresses, api, arithmetic, assertions, cited_guarantees, code_defaults, code_width, commands,
    confused_words, data_blocks, defaults, diagrams, errors, experiments, file_index, fitting_names,
    generated, guarantees, identities, images, incidents, lab, link_words, links, metrics, names, numbers,
    option_places, outputs, packages, paths, plain_english, plots, public_api, queries, quotes, read_again,
    readings, settings_schema, shape, snippets, spelling, style, summary, tidy, traces, tracing_events,
};
use test_servers::{ServerError, promtool, start_or_skip};

/// Asked for as the test runs: a target folder shared by two clones may hold the binary of the other one.
static ROOT: LazyLock<PathBuf> =
    LazyLock::new(|| env::var_os("CARGO_MANIFEST_DIR").expect("run by cargo test").into());

static BOOK: LazyLock<Book> = LazyLock::new(|| Book::load(&ROOT).expect("the book can be read"));

#[test]
fn links_and_anchors_resolve() {
    assert_none(links::check(&BOOK));
}

#[test]
fn links_lead_where_their_words_say() {
    assert_none(link_words::check(&BOOK));
}

#[test]
fn guarantees_are_cited_where_they_fit() {
    assert_none(cited_guarantees::check(&BOOK));
}

#[test]
fn names_stand_where_they_fit() {
    assert_none(fitting_names::check(&BOOK));
}

#[test]
fn words_are_not_confused() {
    assert_none(confused_words::check(&BOOK));
}

#[test]
fn every_snippet_is_run() {
    assert_none(snippets::check(&BOOK));
}

/// Shows with `--nocapture` what is compiled only, and why.
#[test]
fn snippets_that_do_not_run_have_a_reason() {
    for snippet in snippets::not_run(&BOOK) {
        println!("{snippet}");
        assert!(!snippet.message.is_empty(), "{snippet}");
    }
}

#[test]
fn outputs_are_captured() {
    assert_none(outputs::check(&BOOK));
}

/// Shows with `--nocapture` which text blocks claim to be no output.
#[test]
fn texts_that_are_no_output_say_what_they_are() {
    for text in outputs::not_output(&BOOK) {
        println!("{text}");
        assert!(!text.message.is_empty(), "{text}");
    }
}

#[test]
fn generated_blocks_are_current() {
    assert_none(generated::check(&BOOK, &Generators::all(&ROOT)));
}

#[test]
fn experiments_give_the_same_data() {
    assert_none(experiments::check(&ROOT));
}

#[test]
fn plots_are_drawn_from_the_data() {
    assert_none(plots::check(&ROOT));
}

#[test]
fn pictures_of_the_lab_are_those_of_its_runs() {
    assert_none(lab::check(&ROOT));
}

#[test]
fn pictures_of_traces_are_drawn_from_the_data() {
    assert_none(traces::check(&ROOT));
}

#[test]
fn incident_pages_begin_with_what_to_do_now() {
    assert_none(incidents::check(&BOOK));
}

#[test]
fn diagrams_are_drawn_from_their_sources() {
    assert_none(diagrams::check(&ROOT));
}

#[test]
fn the_schema_of_the_options_is_that_of_the_code() {
    assert_none(settings_schema::check(&ROOT));
}

#[test]
fn every_option_is_known_in_every_place() {
    assert_none(option_places::check(&ROOT));
}

#[test]
fn defaults_in_prose_are_those_of_the_code() {
    assert_none(defaults::check(&BOOK, &every_default()));
    assert_none(code_defaults::check(&ROOT));
}

fn every_default() -> Vec<(String, String)> {
    let mut defaults = generators::option_defaults();
    defaults.extend(code_defaults::list(&ROOT));
    defaults
}

#[test]
fn sentences_on_a_default_were_read_with_it() {
    assert_none(read_again::check(&BOOK, &every_default()));
}

#[test]
fn somebody_has_read_every_claim() {
    assert_none(readings::check(&BOOK));
}

#[test]
fn the_summary_lists_every_chapter() {
    assert_none(summary::check(&BOOK));
}

#[test]
fn guarantees_have_tests() {
    assert_none(guarantees::check(&BOOK));
}

#[test]
fn errors_name_their_page_and_have_an_entry() {
    assert_none(errors::check(&BOOK));
}

#[test]
fn the_api_reference_is_complete() {
    assert_none(api::check(&BOOK));
}

#[test]
fn log_records_are_those_of_the_table() {
    assert_none(tracing_events::check(&BOOK));
}

#[test]
fn names_in_the_text_are_those_of_the_crate() {
    assert_none(names::check(&BOOK));
}

#[test]
fn texts_of_ours_are_quoted_right() {
    assert_none(quotes::check(&BOOK));
}

#[test]
fn arithmetic_is_computed() {
    assert_none(arithmetic::check(&BOOK));
}

#[test]
fn snippets_prove_what_they_proved() {
    assert_none(assertions::check(&BOOK));
}

#[test]
fn queries_are_understood() {
    assert_none(queries::check(&BOOK));
}

/// The syntax of every query, by Prometheus' own parser.
#[test]
fn promtool_takes_every_query() {
    let queries = queries::promql(&BOOK);
    assert!(queries.len() > 20, "the dashboard alone has more: {}", queries.len());
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("queries.yml"), queries::as_rules(&queries)).unwrap();
    let checked = promtool(&folder, &["check", "rules", "queries.yml"]);
    if let Err(ServerError::Failed { log, .. }) = &checked {
        assert_none(queries::refused(&queries, log));
    }
    start_or_skip!(checked);
}

#[test]
fn no_word_row_or_heading_is_a_slip() {
    assert_none(shape::check(&BOOK));
}

#[test]
fn counts_below_an_output_are_of_it() {
    assert_none(numbers::check(&BOOK));
}

#[test]
fn equations_between_statistics_hold() {
    assert_none(identities::check(&BOOK));
}

#[test]
fn metrics_in_the_text_are_exported() {
    assert_none(metrics::check(&BOOK));
}

#[test]
fn commands_in_the_text_are_understood() {
    assert_none(commands::check(&BOOK));
}

#[test]
fn data_in_the_text_is_well_formed() {
    assert_none(data_blocks::check(&BOOK));
}

#[test]
fn code_fits_on_the_page() {
    assert_none(code_width::check(&BOOK));
}

#[test]
fn pictures_are_shown_and_described() {
    assert_none(images::check(&BOOK));
}

#[test]
fn the_index_of_files_is_complete() {
    assert_none(file_index::check(&BOOK));
}

#[test]
fn paths_in_the_text_exist() {
    assert_none(paths::check(&BOOK));
}

#[test]
fn words_are_spelt_right() {
    assert_none(spelling::check(&BOOK));
}

#[test]
fn prose_is_plain_english() {
    assert_none(plain_english::check(&BOOK));
}

#[test]
fn style_is_plain() {
    assert_none(style::check(&BOOK));
}

#[test]
fn the_addresses_stand_in_one_place() {
    assert_none(addresses::check(&ROOT));
}

#[test]
fn the_published_crates_are_ready() {
    assert_none(packages::check(&ROOT));
}

#[test]
fn the_public_interface_is_the_one_that_is_written_down() {
    assert_none(public_api::check(&ROOT));
}

#[test]
fn the_house_is_tidy() {
    assert_none(tidy::check(&ROOT));
}
