//! `PoolConfig` as text. Each refusal names the option, and says what to write.

use std::time::Duration;

use poolhouse::{GUIDE, IdleOrder, PoolConfig};
use serde_json::{Value, json};

use crate::common::{ms, secs};

/// How each error about a setting ends.
fn page() -> String {
    format!("; guide: {GUIDE}/reference/configuration.html")
}

/// No option has its default.
fn changed() -> PoolConfig {
    PoolConfig {
        min_connections: 3,
        max_connections: 30,
        connection_timeout: ms(1_500),
        min_idle: 2,
        max_idle: Some(20),
        idle_timeout: secs(90),
        health_check_interval: Duration::MAX,
        max_lifetime: secs(7 * 3600 + 61),
        max_uses: Some(1_000),
        check_after_idle: Duration::ZERO,
        connect_attempt_timeout: Duration::from_nanos(1),
        health_check_timeout: secs(365 * 24 * 3600),
        reset_timeout: ms(250),
        close_timeout: secs(1),
        max_connecting: 2,
        max_pending: Some(100),
        lifetime_jitter: 0.25,
        connect_backoff: ms(1),
        max_connect_backoff: secs(1),
        fail_fast_after: secs(2),
        idle_order: IdleOrder::Fifo,
        leak_threshold: secs(60),
        detect_nested_acquires: true,
        _non_exhaustive: (),
    }
}

/// The error without the page that it names, nor the place in the file that the format adds.
fn refused(settings: &Value) -> String {
    let error =
        serde_json::from_value::<PoolConfig>(settings.clone()).expect_err("it is refused").to_string();
    let Some((what, _)) = error.split_once(&page()) else { panic!("{error}: it names no page") };
    what.to_owned()
}

#[test]
fn every_option_survives_a_round_trip() {
    for config in [PoolConfig::default(), changed()] {
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<PoolConfig>(&json).unwrap(), config, "{json}");
        let toml = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<PoolConfig>(&toml).unwrap(), config, "{toml}");
    }
    let written = serde_json::to_value(changed()).unwrap();
    let default = serde_json::to_value(PoolConfig::default()).unwrap();
    let options: Vec<&str> = PoolConfig::default().options().into_iter().map(|(name, _)| name).collect();
    assert_eq!(written.as_object().unwrap().len(), options.len());
    for name in options {
        assert!(!written[name].is_null(), "{name} is not written");
        assert_ne!(written[name], default[name], "give {name} a value in `changed` that is not its default");
    }
}

#[test]
fn an_option_has_the_form_that_a_person_would_write() {
    assert_eq!(
        toml::to_string(&PoolConfig::default()).unwrap(),
        "min_connections = 1\n\
         max_connections = 10\n\
         connection_timeout = \"30s\"\n\
         min_idle = 0\n\
         max_idle = \"off\"\n\
         idle_timeout = \"5m\"\n\
         health_check_interval = \"30s\"\n\
         max_lifetime = \"1h\"\n\
         max_uses = \"off\"\n\
         check_after_idle = \"off\"\n\
         connect_attempt_timeout = \"10s\"\n\
         health_check_timeout = \"5s\"\n\
         reset_timeout = \"5s\"\n\
         close_timeout = \"5s\"\n\
         max_connecting = 8\n\
         max_pending = \"off\"\n\
         lifetime_jitter = 0.1\n\
         connect_backoff = \"100ms\"\n\
         max_connect_backoff = \"5s\"\n\
         fail_fast_after = \"off\"\n\
         idle_order = \"lifo\"\n\
         leak_threshold = \"off\"\n\
         detect_nested_acquires = false\n"
    );
}

#[test]
fn what_is_left_out_has_its_default() {
    let config: PoolConfig = toml::from_str("max_connections = 20\nidle_order = \"fifo\"\n").unwrap();
    let expected = PoolConfig { max_connections: 20, idle_order: IdleOrder::Fifo, ..PoolConfig::default() };
    assert_eq!(config, expected);
    assert_eq!(toml::from_str::<PoolConfig>("").unwrap(), PoolConfig::default());
}

#[test]
fn off_is_the_end_of_time_or_none() {
    let config: PoolConfig = serde_json::from_value(json!({
        "idle_timeout": "off", "check_after_idle": "off", "max_pending": "off", "leak_threshold": "off",
    }))
    .unwrap();
    assert_eq!(config, PoolConfig { idle_timeout: Duration::MAX, ..PoolConfig::default() });
    for name in ["connect_backoff", "max_connect_backoff", "max_connections", "lifetime_jitter"] {
        assert_eq!(refused(&json!({ name: "off" })), format!("{name} is \"off\": it cannot be off"));
    }
    // One form for all formats, of which some have no null.
    assert_eq!(
        refused(&json!({ "idle_timeout": null })),
        "idle_timeout is null: write \"off\" to switch it off"
    );
    assert_eq!(
        refused(&json!({ "max_connections": null })),
        "max_connections is null: leave it out for its default"
    );
}

#[test]
fn an_unknown_setting_is_refused_with_those_that_there_are() {
    let names: Vec<&str> = PoolConfig::default().options().into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        refused(&json!({ "max_conections": { "of": [1, 2] } })),
        format!("there is no setting `max_conections`: use one of {}", names.join(", "))
    );
}

#[test]
fn a_value_of_another_form_is_refused_by_name() {
    let unit = "write a number with its unit, such as \"30s\", \"5m\" or \"250ms\"";
    let cases = [
        (json!({ "idle_timeout": 30 }), format!("idle_timeout is 30: it has no unit: {unit}, or \"off\"")),
        (json!({ "connect_backoff": 0.1 }), format!("connect_backoff is 0.1: it has no unit: {unit}")),
        (
            json!({ "leak_threshold": "30" }),
            format!(
                "leak_threshold is \"30\": time unit needed, for example 30sec or 30ms: {unit}, or \"off\""
            ),
        ),
        (json!({ "idle_timeout": true }), format!("idle_timeout is true: {unit}, or \"off\"")),
        (
            json!({ "max_connections": "20" }),
            "max_connections is \"20\": write a whole number, such as 10".to_owned(),
        ),
        (
            json!({ "max_connections": -1 }),
            "max_connections is -1: write a whole number, such as 10".to_owned(),
        ),
        (
            json!({ "max_pending": 1.5 }),
            "max_pending is 1.5: write a whole number, such as 10, or \"off\"".to_owned(),
        ),
        (
            json!({ "lifetime_jitter": "10%" }),
            "lifetime_jitter is \"10%\": write a number, such as 0.1".to_owned(),
        ),
        (
            json!({ "detect_nested_acquires": 1 }),
            "detect_nested_acquires is 1: write true or false".to_owned(),
        ),
        (json!({ "idle_order": "Fifo" }), "idle_order is \"Fifo\": write \"lifo\" or \"fifo\"".to_owned()),
        (
            json!({ "idle_timeout": ["30s"] }),
            "invalid type: sequence, expected one value for idle_timeout".to_owned(),
        ),
    ];
    for (settings, expected) in cases {
        assert_eq!(refused(&settings), expected);
    }
    let twice = serde_json::from_str::<PoolConfig>(r#"{ "max_pending": 1, "max_pending": 2 }"#).unwrap_err();
    assert!(twice.to_string().starts_with("max_pending is set twice: drop one; guide: "), "{twice}");
    let list = serde_json::from_str::<PoolConfig>("[]").unwrap_err();
    assert!(list.to_string().contains("expected the settings of a pool, by name"), "{list}");
}

#[test]
fn an_impossible_setting_is_refused_as_by_validate() {
    let cases = [
        (json!({ "min_connections": 11 }), PoolConfig { min_connections: 11, ..PoolConfig::default() }),
        (json!({ "lifetime_jitter": 2 }), PoolConfig { lifetime_jitter: 2.0, ..PoolConfig::default() }),
        (
            json!({ "max_lifetime": "999us" }),
            PoolConfig { max_lifetime: Duration::from_micros(999), ..PoolConfig::default() },
        ),
    ];
    for (settings, config) in cases {
        let error = config.validate().unwrap_err();
        assert_eq!(refused(&settings) + &page(), error.to_string());
        assert!(refused(&settings).starts_with(error.field()));
    }
}

#[test]
fn an_idle_order_stands_by_itself_too() {
    for order in [IdleOrder::Lifo, IdleOrder::Fifo] {
        let text = serde_json::to_string(&order).unwrap();
        assert_eq!(serde_json::from_str::<IdleOrder>(&text).unwrap(), order);
    }
    assert!(serde_json::from_str::<IdleOrder>("3").unwrap_err().to_string().starts_with("idle_order is 3: "));
}
