//! The arithmetic of the calculators on the pages "Sizing your pool" and "Fleets", and what they say.
//!
//! The page's script (`book/theme/calculator.js`) says the same. A test lets both answer the same inputs in a browser.

use pool_lab::theory::more_replicas;

/// One number that a reader gives.
#[derive(Debug)]
pub struct Field {
    /// In the address of the page.
    pub name: &'static str,
    /// What it is, in words.
    pub label: &'static str,
    /// What it counts.
    pub unit: &'static str,
    /// What stands there before the reader types.
    pub example: &'static str,
    /// The least that makes sense.
    pub least: f64,
    /// The most that makes sense.
    pub most: f64,
    /// Whether a fraction makes no sense.
    pub whole: bool,
}

const fn number(name: &'static str, label: &'static str, unit: &'static str, example: &'static str) -> Field {
    Field { name, label, unit, example, least: 0.01, most: 1_000_000.0, whole: false }
}

const fn whole(
    name: &'static str,
    label: &'static str,
    unit: &'static str,
    example: &'static str,
    least: f64,
) -> Field {
    Field { name, label, unit, example, least, most: 1_000_000.0, whole: true }
}

/// A calculator: its fields, and what it says to the numbers in them.
#[derive(Debug)]
pub struct Calculator {
    /// In the page and in its address.
    pub name: &'static str,
    /// Its title.
    pub title: &'static str,
    /// In the order of the page.
    pub fields: &'static [Field],
    say: fn(&[f64]) -> String,
}

/// The calculator of the page "Sizing your pool".
pub const SIZING: Calculator = Calculator {
    name: "sizing",
    title: "The size of your pool",
    fields: &[
        number("rate", "Requests that need a connection, at each pool", "a second", "100"),
        number("hold", "How long each holds it", "milliseconds", "50"),
        whole("limit", "Limit of the server", "connections", "100", 1.0),
        whole("reserved", "Reserve for people and jobs", "connections", "10", 0.0),
        whole("pools", "Pools that share the server, in a deploy", "pools", "12", 1.0),
    ],
    say: |numbers| match *numbers {
        [rate, hold, limit, reserved, pools] => sizing(rate, hold, limit, reserved, pools),
        _ => unreachable!("a number for each field"),
    },
};

/// The calculator of the page "Fleets".
pub const FLEET: Calculator = Calculator {
    name: "fleet",
    title: "The size of each pool of a fleet",
    fields: &[
        whole("limit", "Limit of the server", "connections", "100", 1.0),
        whole("reserved", "Reserved for the administrator", "connections", "3", 0.0),
        whole("others", "Other clients", "connections", "12", 0.0),
        whole("replicas", "Replicas, at the autoscaler's maximum", "replicas", "8", 1.0),
        whole("surge", "Surge of a deploy (maxSurge)", "replicas", "2", 0.0),
        whole("unavailable", "Replicas that may be missing (maxUnavailable)", "replicas", "2", 0.0),
        number("start", "Time until a new replica is ready", "seconds", "5"),
        number("end", "Time until an old replica has ended", "seconds", "30"),
        whole("each", "Pools in a replica: processes, times pools in each", "pools", "1", 1.0),
    ],
    say: |numbers| match *numbers {
        [limit, reserved, others, replicas, surge, unavailable, start, end, each] => {
            let deploy = Deploy { replicas, wave: surge + unavailable, start, end };
            fleet(limit - reserved - others, &deploy, each)
        }
        _ => unreachable!("a number for each field"),
    },
};

impl Calculator {
    /// What it says to what a reader has typed: the answer, or what is wrong with the first field that is wrong.
    ///
    /// # Panics
    ///
    /// If there is not one text for each field.
    pub fn answer(&self, typed: &[&str]) -> String {
        assert_eq!(typed.len(), self.fields.len(), "a text for each field");
        let numbers: Result<Vec<f64>, String> =
            self.fields.iter().zip(typed).map(|(field, text)| field.read(text)).collect();
        numbers.map_or_else(|wrong| wrong, |numbers| (self.say)(&numbers))
    }

    /// What it says before the reader types.
    pub fn example(&self) -> String {
        let typed: Vec<&str> = self.fields.iter().map(|field| field.example).collect();
        self.answer(&typed)
    }
}

impl Field {
    fn read(&self, typed: &str) -> Result<f64, String> {
        let text = typed.trim_matches([' ', '\t']);
        let number = digits(text).and_then(|()| text.parse::<f64>().ok());
        number
            .filter(|number| (self.least..=self.most).contains(number))
            .filter(|number| !self.whole || number.fract() == 0.0)
            .ok_or_else(|| {
                let kind = if self.whole { "a whole number" } else { "a number" };
                format!("{}: give {kind} from {} to {}.", self.label, self.least, self.most)
            })
    }
}

/// At most nine digits, and at most six behind a point: what people type, and both languages read alike.
fn digits(text: &str) -> Option<()> {
    let (before, behind) = text.split_once('.').unwrap_or((text, "0"));
    let all = |part: &str, most| (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    (all(before, 9) && all(behind, 6)).then_some(())
}

/// How many are held on average: Little's law.
pub fn held(rate: f64, hold_ms: f64) -> f64 {
    rate * hold_ms / 1000.0
}

/// That, and twice its square root: the size of a pool in which waits are rare.
pub fn size(held: f64) -> f64 {
    (held + 2.0 * held.sqrt()).ceil().max(1.0)
}

/// The share of each pool. Zero if there is not one for each.
pub fn share(left: f64, pools: f64) -> f64 {
    (left / pools).floor().max(0.0)
}

/// To a tenth, half upwards.
fn tenth(value: f64) -> f64 {
    (value * 10.0 + 0.5).floor() / 10.0
}

fn sizing(rate: f64, hold: f64, limit: f64, reserved: f64, pools: f64) -> String {
    let held = held(rate, hold);
    let (size, share) = (size(held), share(limit - reserved, pools));
    let average = if tenth(held) == 0.0 { "less than 0.1".to_owned() } else { tenth(held).to_string() };
    let need = format!("Held on average: {average}. With headroom the pool needs {size}.");
    // The mean at which the share has its headroom, and the hold that gives it.
    let root = (1.0 + share).sqrt() - 1.0;
    let hold = (root * root * 1000.0 / rate * 10.0).floor() / 10.0;
    if share < 1.0 {
        format!("{need} The server has not one connection for each pool. Use a proxy, or run fewer pools.")
    } else if size <= share {
        format!("{need} Your share of the server is {share}, so it fits: set max_connections to {size}.")
    } else if held < share {
        format!(
            "{need} Your share of the server is {share}: set max_connections to {share}. Some requests will wait. \
             With a hold of {hold} ms they would not."
        )
    } else {
        format!(
            "{need} Your share of the server is {share}, and that cannot carry the load: the queue grows until acquires \
             time out. It can with a hold of {hold} ms, fewer pools, or a proxy."
        )
    }
}

struct Deploy {
    replicas: f64,
    /// How many new replicas start at once: the surge, and one for each old replica that may be missing.
    wave: f64,
    start: f64,
    end: f64,
}

fn fleet(left: f64, deploy: &Deploy, each: f64) -> String {
    let more = more_replicas(deploy.replicas, deploy.wave, deploy.start, deploy.end);
    let most = deploy.replicas + more;
    let pools = most * each;
    let alive =
        format!("A deploy has {most} replicas at most: {} and {more} more. Pools: {pools}.", deploy.replicas);
    if left < 1.0 {
        return format!("{alive} The reserve and the other clients leave no connection for them.");
    }
    let share = share(left, pools);
    if share < 1.0 {
        return format!(
            "{alive} Connections left for them: {left}, not one for each. Use a proxy, or run fewer and larger replicas."
        );
    }
    format!(
        "{alive} Connections left for them: {left}. Set max_connections of each pool to {share}: together they open {} \
         at most.",
        share * pools
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_pages_hold() {
        assert_eq!((held(100.0, 50.0), size(5.0)), (5.0, 10.0));
        // A pool that needs 100 on average wants 20 more.
        assert_eq!(size(100.0), 120.0);
        assert_eq!((share(90.0, 12.0), share(85.0, 16.0), share(-3.0, 2.0)), (7.0, 5.0, 0.0));
        let deploy = |wave, start, end| more_replicas(8.0, wave, start, end);
        assert_eq!((deploy(1.0, 5.0, 30.0), deploy(2.0, 5.0, 30.0), deploy(0.0, 5.0, 30.0)), (7.0, 8.0, 0.0));
        // The second wave starts while the whole first one ends.
        assert_eq!(deploy(4.0, 10.0, 5.0), 8.0);
        assert_eq!(
            SIZING.example(),
            "Held on average: 5. With headroom the pool needs 10. Your share of the server is 7: set max_connections to 7. \
             Some requests will wait. With a hold of 33.4 ms they would not."
        );
        assert_eq!(
            FLEET.example(),
            "A deploy has 16 replicas at most: 8 and 8 more. Pools: 16. Connections left for them: 85. Set \
             max_connections of each pool to 5: together they open 80 at most."
        );
    }

    #[test]
    fn the_hold_that_is_advised_is_enough_and_none_longer_is() {
        for rate in [1.0, 20.0, 333.0] {
            for share in 1..60 {
                let root = (1.0 + f64::from(share)).sqrt() - 1.0;
                let hold = (root * root * 1000.0 / rate * 10.0).floor() / 10.0;
                assert!(size(held(rate, hold)) <= f64::from(share), "{rate} {share}");
                assert!(size(held(rate, hold + 0.2)) > f64::from(share), "{rate} {share}");
            }
        }
    }

    #[test]
    fn each_case_of_an_answer() {
        let sizing = |typed: [&str; 5]| SIZING.answer(&typed);
        assert!(sizing(["20", "100", "100", "10", "12"]).ends_with("so it fits: set max_connections to 5."));
        assert!(sizing(["1000", "50", "100", "10", "12"]).contains("cannot carry the load"));
        assert!(sizing(["100", "50", "10", "10", "12"]).contains("not one connection for each pool"));
        assert!(
            sizing(["0.01", "1", "9", "0", "1"])
                .starts_with("Held on average: less than 0.1. With headroom the pool needs 1.")
        );
        let fleet = |limit| FLEET.answer(&[limit, "3", "12", "8", "2", "2", "5", "30", "1"]);
        assert!(fleet("15").ends_with("leave no connection for them."));
        assert!(fleet("30").contains("left for them: 15, not one for each"));
        // As many more start as may be missing.
        let unavailable = |most| FLEET.answer(&["100", "3", "12", "20", "2", most, "30", "20", "1"]);
        assert!(unavailable("0").contains("20 and 4 more"), "{}", unavailable("0"));
        assert!(unavailable("3").contains("20 and 10 more"), "{}", unavailable("3"));
    }

    #[test]
    fn wild_input_gets_a_message_that_names_the_field() {
        let rate = |typed| SIZING.answer(&[typed, "50", "100", "10", "12"]);
        for wild in [
            "",
            "-1",
            "1e3",
            "0x10",
            "NaN",
            "∞",
            "1,5",
            ".5",
            "5.",
            "0",
            "1000001",
            "1234567890",
            "1.0000001",
        ] {
            assert_eq!(
                rate(wild),
                "Requests that need a connection, at each pool: give a number from 0.01 to 1000000.",
                "{wild}"
            );
        }
        assert!(rate(" 100\t").starts_with("Held"));
        let pools = SIZING.answer(&["100", "50", "100", "10", "1.5"]);
        assert_eq!(pools, "Pools that share the server, in a deploy: give a whole number from 1 to 1000000.");
    }
}
