//! What the pages show of the Pool Lab without its script: a picture and a table of each preset, from a native run.

use std::io;
use std::path::Path;
use std::sync::LazyLock;

use pool_lab::{
    Need, PRESETS, Point, Preset, Run, Scenario, curve_picture, curve_table, picture, run, size, sweep, table,
};

use crate::{Finding, kept};

/// Where the pictures are, relative to the repository.
const FOLDER: &str = "book/src/lab/pictures";

/// The runs of one preset, by the names of its scenarios.
type Runs = Vec<(String, Run)>;

/// The runs of every preset, in their order. A picture, a table and a question each show them: they run once.
static RUNS: LazyLock<Vec<Runs>> = LazyLock::new(|| {
    let runs = |preset: &Preset| {
        let scenarios = preset.scenarios().expect("the tests of the lab read every preset");
        scenarios.into_iter().map(|(name, scenario)| (name, run(&scenario))).collect()
    };
    PRESETS.iter().map(runs).collect()
});

/// The first configuration of the first preset, at several loads.
static LOADS: LazyLock<(Scenario, Vec<Point>)> = LazyLock::new(|| {
    let mut scenarios = PRESETS[0].scenarios().expect("the tests of the lab read every preset");
    let (_, scenario) = scenarios.swap_remove(0);
    let points = sweep(&scenario).expect("its arrivals have a rate");
    (scenario, points)
});

fn pictures() -> Vec<(String, String)> {
    let draw = |(preset, runs): (&Preset, &Runs)| {
        (format!("{FOLDER}/{}.svg", preset.name), picture(&preset.text("title"), runs))
    };
    let (scenario, points) = &*LOADS;
    let title = "Wait over utilisation: the runs follow Erlang C";
    let loads = (format!("{FOLDER}/loads.svg"), curve_picture(title, scenario, points));
    PRESETS.iter().zip(&*RUNS).map(draw).chain([loads]).collect()
}

/// A book without the lab's pages shows none.
fn has_lab(root: &Path) -> bool {
    root.join(FOLDER).parent().is_some_and(Path::is_dir)
}

pub fn check(root: &Path) -> Vec<Finding> {
    if has_lab(root) { compare(root, &pictures()) } else { Vec::new() }
}

fn compare(root: &Path, pictures: &[(String, String)]) -> Vec<Finding> {
    let differs = |_| "the picture differs from the run: run `cargo guide generate`".to_owned();
    pictures.iter().filter_map(|(file, drawn)| kept::drift(root, file, drawn, differs)).collect()
}

/// Draws the pictures anew. Returns the names of those that changed.
///
/// # Errors
///
/// A picture cannot be written.
pub fn rewrite(root: &Path) -> io::Result<Vec<String>> {
    if has_lab(root) { write(root, pictures()) } else { Ok(Vec::new()) }
}

fn write(root: &Path, pictures: Vec<(String, String)>) -> io::Result<Vec<String>> {
    let mut changed = Vec::new();
    for (file, drawn) in pictures {
        if kept::write(root, &file, &drawn)? {
            changed.push(file);
        }
    }
    Ok(changed)
}

/// What a generated block of the lab holds.
#[derive(Clone, Copy)]
pub(crate) enum Block {
    /// The figures of the preset with this index.
    Preset(usize),
    /// Those of several loads.
    Loads,
    /// The answer for the numbers of an example.
    Size,
}

/// The example of the page: six replicas at a server of a hundred connections.
const SIZED: &str =
    "rate=300&hold=40&target=10&replicas=6&surge=2&boot=15&fault_for=30&server_limit=100&reserved=15";

pub(crate) fn blocks() -> impl Iterator<Item = (String, Block)> {
    let presets = PRESETS.iter().enumerate();
    let presets = presets.map(|(index, preset)| (format!("lab-{}", preset.name), Block::Preset(index)));
    presets.chain([("lab-loads".to_owned(), Block::Loads), ("lab-size".to_owned(), Block::Size)])
}

impl Block {
    pub(crate) fn text(self) -> String {
        match self {
            Self::Preset(index) => table(&RUNS[index]),
            Self::Loads => curve_table(&LOADS.1),
            Self::Size => {
                let sizing = Need::parse(SIZED).and_then(|need| size(&need));
                let words = sizing.expect("the example has a size").words();
                words.iter().map(|sentence| item(sentence)).collect()
            }
        }
    }
}

/// An item of a list, on lines that are not too long.
fn item(sentence: &str) -> String {
    let mut item = String::from("1.");
    let mut width = item.len();
    for word in sentence.split(' ') {
        if width + 1 + word.len() > 118 {
            item.push_str("\n  ");
            width = 2;
        }
        item.push(' ');
        item.push_str(word);
        width += 1 + word.len();
    }
    item + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    #[test]
    fn a_picture_that_is_old_is_found_and_drawn_anew() {
        let fixture = Fixture::chapter("# A\n");
        let root = &fixture.book.root;
        assert_eq!(check(root), [], "a book without the lab");
        let files = ["old", "new", "current"].map(|name| format!("{FOLDER}/{name}.svg"));
        let drawn: Vec<(String, String)> =
            files.iter().map(|file| (file.clone(), "<svg>1</svg>\n".to_owned())).collect();
        kept::write(root, &files[0], "<svg/>\n").unwrap();
        kept::write(root, &files[2], &drawn[2].1).unwrap();
        let (old, missing) = (
            "the picture differs from the run: run `cargo guide generate`",
            "does not exist: run `cargo guide generate`",
        );
        expect(compare(root, &drawn), &[(&files[1], 1, missing), (&files[0], 1, old)]);
        assert_eq!(write(root, drawn.clone()).unwrap(), files[..2]);
        assert_eq!(compare(root, &drawn), []);
    }
}
