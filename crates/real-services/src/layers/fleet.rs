//! The processes of the service, and what they tell at their end.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::service::{Service, WORD};
use crate::contestants::AnyError;

/// How long a process may take to fill its pool, and to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// One request and what became of it. Times are those of the machine.
#[derive(Debug, Clone)]
pub struct Request {
    /// When its task asked for a connection.
    pub began: Duration,
    /// When it got one.
    pub acquired: Option<Duration>,
    /// When it ended.
    pub ended: Duration,
    /// The port of the server that answered, or what was said instead.
    pub outcome: Result<u16, String>,
}

/// All requests of a run.
#[derive(Debug, Clone, Default)]
pub struct Requests {
    /// In the order in which they ended.
    pub all: Vec<Request>,
    /// The most callers that waited in the pools at once, summed over the processes.
    pub most_pending: usize,
}

impl Requests {
    /// Those that began at that time or later.
    #[must_use]
    pub fn since(mut self, time: Duration) -> Self {
        self.all.retain(|request| request.began >= time);
        self
    }

    /// How many there were.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// How many failed.
    pub fn errors(&self) -> usize {
        self.errors_after(Duration::ZERO)
    }

    /// How many that began at that time or later failed.
    pub fn errors_after(&self, time: Duration) -> usize {
        self.all
            .iter()
            .filter(|request| request.began >= time && request.outcome.is_err())
            .count()
    }

    /// When the last one failed.
    pub fn last_error(&self) -> Option<Duration> {
        self.all
            .iter()
            .filter(|request| request.outcome.is_err())
            .map(|request| request.ended)
            .max()
    }

    /// The longest that a request took which was answered.
    pub fn slowest(&self) -> Duration {
        self.longest(|request| request.outcome.is_ok())
    }

    /// The longest that a request took which failed.
    pub fn slowest_error(&self) -> Duration {
        self.longest(|request| request.outcome.is_err())
    }

    fn longest(&self, which: impl Fn(&Request) -> bool) -> Duration {
        let times = self.all.iter().filter(|request| which(request));
        times.map(|request| request.ended - request.began).max().unwrap_or_default()
    }

    /// The text of the most frequent error, and how often it came.
    pub fn reason(&self) -> Option<(String, usize)> {
        let mut texts = BTreeMap::<&str, usize>::new();
        for request in &self.all {
            if let Err(text) = &request.outcome {
                *texts.entry(text).or_default() += 1;
            }
        }
        let most = texts.into_iter().max_by_key(|(_, count)| *count)?;
        Some((most.0.to_owned(), most.1))
    }
}

struct Member {
    child: Child,
    lines: Receiver<String>,
}

/// Several processes of one service. They end with this value, and with this process.
pub struct Fleet(Vec<Member>);

impl Fleet {
    /// Starts processes and waits until their pools are full. `program` is the program `layers`.
    ///
    /// # Errors
    ///
    /// One does not start.
    pub fn start(
        program: &Path,
        service: &Service,
        processes: usize,
    ) -> Result<Self, AnyError> {
        let mut fleet = Self(Vec::new());
        for _ in 0..processes {
            fleet.0.push(Member::start(program, service)?);
        }
        for member in &fleet.0 {
            let line = member.lines.recv_timeout(PATIENCE);
            if line.as_deref() != Ok("ready") {
                return Err(format!(
                    "a process of the service does not get ready: {line:?}"
                )
                .into());
            }
        }
        Ok(fleet)
    }

    /// Gives all of them an order.
    ///
    /// # Errors
    ///
    /// One has ended.
    pub fn tell(&mut self, order: &str) -> Result<(), AnyError> {
        for member in &mut self.0 {
            let stdin =
                member.child.stdin.as_mut().ok_or("it has been told to end")?;
            writeln!(stdin, "{order}")?;
        }
        Ok(())
    }

    /// Kills them all, as a machine does that has no memory left.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn kill(mut self) -> Result<(), AnyError> {
        for member in &mut self.0 {
            member.child.kill()?;
            member.child.wait()?;
        }
        Ok(())
    }

    /// Ends them all, and reads what they have to tell.
    ///
    /// # Errors
    ///
    /// One does not end, or tells nothing.
    pub fn stop(mut self) -> Result<Requests, AnyError> {
        for member in &mut self.0 {
            drop(member.child.stdin.take());
        }
        let mut requests = Requests::default();
        for member in &mut self.0 {
            loop {
                let line = member.lines.recv_timeout(PATIENCE)?;
                if let Some(most) = line.strip_prefix("pending ") {
                    requests.most_pending += most.parse::<usize>()?;
                    break;
                }
                requests.all.push(
                    read(&line).ok_or_else(|| format!("no request: {line}"))?,
                );
            }
            member.child.wait()?;
        }
        requests.all.sort_by_key(|request| request.ended);
        Ok(requests)
    }
}

impl Member {
    fn start(program: &Path, service: &Service) -> Result<Self, AnyError> {
        let mut child = Command::new(program)
            .args([WORD, &service.argument()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| {
                format!("cannot start {}: {error}", program.display())
            })?;
        let stdout = child.stdout.take().expect("it is piped");
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self { child, lines })
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // Both fail if it has ended, and then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(line: &str) -> Option<Request> {
    let mut words = line.strip_prefix("request ")?.splitn(5, ' ');
    let mut time = || words.next()?.parse().ok().map(Duration::from_micros);
    let (began, acquired, ended) = (time()?, time()?, time()?);
    let outcome = match (words.next()?, words.next()) {
        ("error", text) => Err(text.unwrap_or_default().to_owned()),
        (port, _) => Ok(port.parse().ok()?),
    };
    Some(Request {
        began,
        acquired: (!acquired.is_zero()).then_some(acquired),
        ended,
        outcome,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_request() {
        let answered = read("request 10 20 30 5432").unwrap();
        assert_eq!(
            (answered.began, answered.outcome),
            (Duration::from_micros(10), Ok(5432))
        );
        let refused = read("request 10 0 30 error the pool is closed").unwrap();
        assert_eq!(
            (refused.acquired, refused.outcome),
            (None, Err("the pool is closed".to_owned()))
        );
        assert!(read("request 10 20").is_none());
    }
}
