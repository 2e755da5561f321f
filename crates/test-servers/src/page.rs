//! A page that a test uses as a reader does: with keys, with other settings of the system, without scripts.
//!
//! It speaks Chromium's DevTools protocol over a pipe: messages in JSON, each with a zero byte at its end.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// A browser that says nothing for so long hangs.
const SILENCE: Duration = Duration::from_secs(120);

/// One page in a Chromium of its own, which ends with it.
///
/// ```no_run
/// # fn a_test() -> Result<(), test_servers::ServerError> {
/// let mut page = test_servers::Chromium::find()?.page();
/// page.open("http://127.0.0.1:8000/");
/// page.press("Tab");
/// assert_eq!(page.evaluate("document.activeElement.tagName"), "A");
/// assert_eq!(page.complaints(), [] as [&str; 0]);
/// # Ok(())
/// # }
/// ```
pub struct Page {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    session: Option<String>,
    sent: u64,
    events: Vec<Value>,
    complaints: Vec<String>,
    _profile: TempDir,
}

impl Page {
    pub(crate) fn start(chromium: &Command, profile: TempDir) -> Self {
        // Chromium reads messages from descriptor 3 and writes them to 4.
        let script = "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>/dev/null";
        let mut command = Command::new("sh");
        command.args(["-c", script]).arg(chromium.get_program()).args(chromium.get_args());
        command.args(["--remote-debugging-pipe", "about:blank"]);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("sh: {error}"));
        let to = child.stdin.take().expect("it is piped");
        let from = listen(child.stdout.take().expect("it is piped"));
        let mut page = Self {
            child,
            to,
            from,
            session: None,
            sent: 0,
            events: Vec::new(),
            complaints: Vec::new(),
            _profile: profile,
        };
        let target = page.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let session = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = page.call("Target.attachToTarget", &session);
        page.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log"] {
            page.call(&format!("{domain}.enable"), &json!({}));
        }
        // A page in the background shows no focus.
        page.call("Emulation.setFocusEmulationEnabled", &json!({ "enabled": true }));
        page
    }

    /// Opens an address, and returns when it is loaded.
    ///
    /// # Panics
    ///
    /// As every method here: if Chromium ends, or says nothing for two minutes.
    pub fn open(&mut self, address: &str) {
        self.events.clear();
        // The same page with another fragment would not be loaded.
        self.call("Page.navigate", &json!({ "url": "about:blank" }));
        self.event("Page.loadEventFired");
        self.call("Page.navigate", &json!({ "url": address }));
        self.event("Page.loadEventFired");
    }

    /// What a script gives. If that is a promise, what it resolves to.
    ///
    /// # Panics
    ///
    /// If the script throws.
    pub fn evaluate(&mut self, script: &str) -> Value {
        let arguments = json!({ "expression": script, "awaitPromise": true, "returnByValue": true });
        let mut answer = self.call("Runtime.evaluate", &arguments);
        assert!(answer["exceptionDetails"].is_null(), "{script}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].take()
    }

    /// Waits until the condition holds, which the page looks at every ten milliseconds.
    ///
    /// # Panics
    ///
    /// If that is not within a minute.
    pub fn until(&mut self, condition: &str) {
        let script = format!(
            "new Promise((resolve, reject) => {{
                const end = Date.now() + 60_000;
                const look = () => ({condition}) ? resolve(true)
                    : Date.now() > end ? reject(new Error('not within a minute')) : setTimeout(look, 10);
                look();
            }})"
        );
        self.evaluate(&script);
    }

    /// Presses a key and lets it go: `Tab`, `Shift+Tab`, `Enter`, `Space`, an arrow, `Backspace`, or what a letter says.
    pub fn press(&mut self, key: &str) {
        let (shift, key) = key.strip_prefix("Shift+").map_or((0, key), |key| (8, key));
        let (name, code, text) = match key {
            "Tab" => ("Tab", 9, ""),
            "Enter" => ("Enter", 13, "\r"),
            "Space" => (" ", 32, " "),
            "Backspace" => ("Backspace", 8, ""),
            "ArrowLeft" => ("ArrowLeft", 37, ""),
            "ArrowUp" => ("ArrowUp", 38, ""),
            "ArrowRight" => ("ArrowRight", 39, ""),
            "ArrowDown" => ("ArrowDown", 40, ""),
            letter => (letter, letter.to_uppercase().bytes().next().unwrap_or_default(), letter),
        };
        let event = |kind: &str, text: &str| json!({ "type": kind, "key": name, "code": key, "windowsVirtualKeyCode": code, "text": text, "modifiers": shift });
        let down = if text.is_empty() { "rawKeyDown" } else { "keyDown" };
        self.call("Input.dispatchKeyEvent", &event(down, text));
        self.call("Input.dispatchKeyEvent", &event("keyUp", ""));
    }

    /// The size of the window, in the pixels of style sheets.
    pub fn resize(&mut self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Another medium, `screen` or `print`, and features of it, such as `prefers-reduced-motion: reduce`.
    pub fn media(&mut self, medium: &str, features: &[(&str, &str)]) {
        let features: Vec<Value> =
            features.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        self.call("Emulation.setEmulatedMedia", &json!({ "media": medium, "features": features }));
    }

    /// The pages that are opened from now on run no scripts. [`evaluate`](Self::evaluate) does.
    pub fn disable_scripts(&mut self) {
        self.call("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
    }

    /// Makes the processor so many times slower.
    pub fn slow_down(&mut self, times: f64) {
        self.call("Emulation.setCPUThrottlingRate", &json!({ "rate": times }));
    }

    /// Errors and warnings of the page since the last call: of its scripts, and of the browser about it.
    pub fn complaints(&mut self) -> Vec<String> {
        // What has been said before this answer has arrived before it.
        self.evaluate("0");
        std::mem::take(&mut self.complaints)
    }

    fn call(&mut self, method: &str, arguments: &Value) -> Value {
        self.sent += 1;
        let mut message = json!({ "id": self.sent, "method": method, "params": arguments });
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        let written = self.to.write_all(format!("{message}\0").as_bytes());
        written.unwrap_or_else(|error| panic!("{method}: Chromium has ended: {error}"));
        loop {
            let mut message = self.receive(method);
            if message["id"] == self.sent {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].take();
            }
        }
    }

    fn event(&mut self, name: &str) {
        loop {
            if let Some(index) = self.events.iter().position(|event| event["method"] == name) {
                self.events.remove(index);
                return;
            }
            self.receive(name);
        }
    }

    fn receive(&mut self, why: &str) -> Value {
        let message = self.from.recv_timeout(SILENCE);
        let message = message.unwrap_or_else(|error| panic!("{why}: no answer of Chromium: {error}"));
        let told = &message["params"];
        let complaint = match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => Some(&told["exceptionDetails"]),
            Some("Runtime.consoleAPICalled") if told["type"] == "error" || told["type"] == "warning" => {
                Some(&told["args"])
            }
            Some("Log.entryAdded") if told["entry"]["level"] == "error" => Some(&told["entry"]),
            _ => None,
        };
        self.complaints.extend(complaint.map(Value::to_string));
        if message["method"] == "Page.loadEventFired" {
            self.events.push(message.clone());
        }
        message
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(from: ChildStdout) -> Receiver<Value> {
    let (tell, told) = channel();
    thread::spawn(move || {
        for message in BufReader::new(from).split(0).map_while(Result::ok) {
            let message = serde_json::from_slice(&message).unwrap_or_default();
            if tell.send(message).is_err() {
                return;
            }
        }
    });
    told
}
