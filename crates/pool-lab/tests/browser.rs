//! The module that the book ships, in headless Chromium: it gives the same runs as the native lab, to the last digit, and
//! its element shows them.
//!
//! Chromium is not installed everywhere. Without it the test says so and passes, unless `REAL_SERVERS=required`.
#![cfg(unix)]

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Barrier};
use std::thread;

use pool_lab::{PRESETS, Scenario, knobs_json, report, run};
use test_servers::{Chromium, start_or_skip};

/// The folder that the book serves as it is.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../book/src/lab")
}

/// The module that the book ships, or another one that is to do the same.
fn module() -> Vec<u8> {
    let path = env::var_os("POOL_LAB_MODULE").map_or_else(|| folder().join("pool-lab.wasm"), PathBuf::from);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Serves the book's folder and one page, and returns the address of the page.
///
/// Chromium looks at a page once it is loaded. This one is loaded when its script asks for `done`: until then an image of
/// it has no answer.
fn serve(page: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let done = Arc::new(Barrier::new(2));
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (page, done) = (page.clone(), Arc::clone(&done));
            thread::spawn(move || answer(stream, &page, &done));
        }
    });
    format!("http://{address}/page.html")
}

fn answer(mut stream: TcpStream, page: &str, done: &Barrier) {
    let mut lines = BufReader::new(stream.try_clone().expect("a handle")).lines().map_while(Result::ok);
    let request = lines.next().unwrap_or_default();
    let name = request.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
    // All of the head, or closing would reset the connection.
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    if ["done", "when-done.svg"].contains(&&*name) {
        done.wait();
    }
    let (kind, body) = match &*name {
        "page.html" => ("text/html", page.as_bytes().to_vec()),
        "pool-lab.js" => ("text/javascript", fs::read(folder().join(&name)).expect("the script")),
        "pool-lab.wasm" => ("application/wasm", module()),
        // What browsers ask for by themselves.
        _ => ("image/svg+xml", b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec()),
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}

/// What the page is once it has nothing left to do. The time limit is for a page that never says that it is done.
fn visit(chromium: &Chromium, address: &str) -> String {
    chromium.visit(address, &["--force-prefers-reduced-motion", "--timeout=120000"])
}

/// Says loudly that a test did nothing. Not with `eprintln!`, which the harness swallows when a test passes.
fn skip(why: &str) {
    let required = env::var_os("REAL_SERVERS").is_some_and(|value| value == "required");
    assert!(!required, "REAL_SERVERS=required, but {why}");
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

/// The text of the element with this id, as the page's source has it.
fn text_of<'a>(page: &'a str, id: &str) -> &'a str {
    let start = format!("id=\"{id}\">");
    let (_, rest) = page.split_once(&start).unwrap_or_else(|| panic!("no {id} in {page}"));
    rest.split('<').next().unwrap_or_default()
}

/// As the source of a page writes it.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

const MORE: [&str; 3] = [
    "rate=800&hold=5&max_connections=6&duration=60&seed=77",
    "arrivals=closed&callers=300&think=50&replicas=4&cores=8&contention=3&server_limit=30&leak_every=500",
    "max_connections=0",
];

#[test]
fn the_browser_computes_what_the_native_lab_computes() {
    let chromium = start_or_skip!(Chromium::find());
    let mut texts: Vec<String> = MORE.map(str::to_owned).into();
    for preset in PRESETS {
        texts.extend(preset.scenarios().unwrap().iter().map(|(_, scenario)| scenario.address()));
    }
    let list: Vec<String> = texts.iter().map(|text| format!("\"{text}\"")).collect();
    let page = format!(
        "<!doctype html><meta charset=utf-8><link rel=icon href=i.svg><img src=when-done.svg><pre id=knobs></pre><div id=runs></div><script type=module>
         import {{ load }} from './pool-lab.js';
         const lab = await load();
         document.getElementById('knobs').textContent = lab.knobs();
         [{}].forEach((text, index) => {{
             const pre = document.createElement('pre');
             pre.id = 'run-' + index;
             pre.textContent = lab.run(text);
             document.getElementById('runs').append(pre);
         }});
         await fetch('done');
         </script>",
        list.join(", ")
    );
    let page = visit(&chromium, &serve(page));
    assert_eq!(text_of(&page, "knobs"), escaped(&knobs_json()));
    for (index, text) in texts.iter().enumerate() {
        let native = match Scenario::parse(text) {
            Ok(scenario) => report(&run(&scenario)),
            Err(error) => pool_lab::error_json(&error),
        };
        assert_eq!(text_of(&page, &format!("run-{index}")), escaped(&native), "{text}");
    }
}

/// Visits a page with one lab of each preset, all of them started by their address.
#[test]
fn the_element_shows_every_preset_and_refuses_a_wild_address() {
    let chromium = start_or_skip!(Chromium::find());
    let labs: String = PRESETS
        .iter()
        .map(|preset| format!("<pool-lab preset={0} id={0}></pool-lab>", preset.name))
        .collect();
    let starts: String = PRESETS
        .iter()
        .map(|preset| {
            let addresses: Vec<String> =
                preset.scenarios().unwrap().iter().map(|(_, scenario)| scenario.address()).collect();
            format!("await document.getElementById('{}').start({:?});\n", preset.name, addresses.join("/"))
        })
        .collect();
    let wild = ["max_connections=NaN", "rate=0", "duration=1e300", "colour=red", "%E0%A4%A"];
    let wilds: String = (0..wild.len())
        .map(|index| format!("<pool-lab preset=overload id=wild-{index}></pool-lab>"))
        .collect();
    let page = format!(
        "<!doctype html><meta charset=utf-8><link rel=icon href=i.svg><img src=when-done.svg>{labs}{wilds}
         <pool-lab preset=overload id=changed></pool-lab><script type=module>
         import './pool-lab.js';
         {starts}
         for (const [index, text] of {wild:?}.entries()) {{
             await document.getElementById('wild-' + index).start(text);
         }}
         await document.getElementById('changed').start('max_connections=3&duration=5');
         for (const status of document.querySelectorAll('[role=status]')) {{
             status.id = 'status-' + status.parentElement.id;
         }}
         await fetch('done');
         </script>"
    );
    let page = visit(&chromium, &serve(page));
    for preset in PRESETS {
        let scenarios = preset.scenarios().unwrap();
        let said = text_of(&page, &format!("status-{}", preset.name));
        for (name, scenario) in scenarios {
            let summary = run(&scenario).summary();
            assert!(said.contains(&escaped(&format!("{name}: {summary}"))), "{said}\n{summary}");
        }
    }
    let said = text_of(&page, "status-changed");
    assert!(said.starts_with("First, changed: Of "), "a name of the preset is not what has been run: {said}");
    for (index, text) in wild.iter().enumerate() {
        let said = text_of(&page, &format!("status-wild-{index}"));
        assert!(said.starts_with("No run: "), "{text}: {said}");
    }
}

/// With the script, and compressed as a server sends it: what a reader waits for after the click.
#[test]
fn the_module_and_its_script_are_light() {
    let output = Command::new("sh")
        .args(["-c", "cat pool-lab.wasm pool-lab.js | gzip -9 | wc -c"])
        .current_dir(folder())
        .output();
    let Some(output) = output.ok().filter(|output| output.status.success()) else {
        return skip("no gzip here");
    };
    let bytes: usize = String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number");
    assert!(bytes > 0 && bytes <= 150 * 1024, "{bytes} bytes");
}
