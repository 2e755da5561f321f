//! A server that works as many databases do: a thread for each connection, memory of its own for each, and one lock
//! that all of them need for a moment in each request. A process of its own.
//!
//! A request is one byte, the reply is one byte. Between them the thread walks through its own memory, takes
//! the lock, walks through the shared memory, and gives the lock back. A thread that finds the lock taken
//! looks again some times, and then lets others run: what PostgreSQL does with its spinlocks.

use std::hint::{black_box, spin_loop};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use anyhow::Result;

/// What a thread has for itself: 1 MiB.
const OWN_WORDS: usize = 1 << 18;
/// How many of its words one request visits, in an order that depends on what they hold.
const OWN_STEPS: usize = 20_000;
/// What is behind the lock: 64 KiB.
const SHARED_WORDS: usize = 1 << 14;
const SHARED_STEPS: usize = 1_000;
/// How often a thread looks at the lock before it lets others run.
const LOOKS: usize = 100;

/// Prints its address and serves until its input ends.
pub fn serve() -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{}", listener.local_addr()?);
    let shared: &Shared = Box::leak(Box::new(Shared::new()));
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let Ok(stream) = stream else { continue };
            thread::spawn(move || answer(stream, number as u64, shared));
        }
    });
    // Ends with the program that started it, however that ends.
    io::stdin().read_line(&mut String::new())?;
    Ok(())
}

fn answer(mut stream: TcpStream, seed: u64, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut rng = fastrand::Rng::with_seed(seed);
    let own: Vec<u32> = (0..OWN_WORDS).map(|_| rng.u32(..)).collect();
    let mut place = 0;
    let mut byte = [0];
    while stream.read(&mut byte)? == 1 {
        place = black_box(walk(OWN_STEPS, place, OWN_WORDS, |index| own[index]));
        shared.visit(place);
        stream.write_all(&byte)?;
    }
    Ok(())
}

/// Each word says, with the place, where to go next: so the processor cannot fetch it ahead.
fn walk(steps: usize, start: usize, words: usize, word: impl Fn(usize) -> u32) -> usize {
    let mut place = start;
    for _ in 0..steps {
        place = place.wrapping_mul(5).wrapping_add(word(place % words) as usize);
    }
    place % words
}

struct Shared {
    taken: AtomicBool,
    words: Vec<AtomicU32>,
}

impl Shared {
    fn new() -> Self {
        let mut rng = fastrand::Rng::with_seed(0);
        Self { taken: AtomicBool::new(false), words: (0..SHARED_WORDS).map(|_| rng.u32(..).into()).collect() }
    }

    fn visit(&self, start: usize) {
        while self.taken.swap(true, Ordering::Acquire) {
            let mut looks = 0;
            while self.taken.load(Ordering::Relaxed) {
                looks += 1;
                if looks % LOOKS == 0 {
                    thread::yield_now();
                } else {
                    spin_loop();
                }
            }
        }
        let end = walk(SHARED_STEPS, start, SHARED_WORDS, |index| self.words[index].load(Ordering::Relaxed));
        // The next one who comes has to fetch what this one wrote.
        self.words[end].fetch_add(1, Ordering::Relaxed);
        self.taken.store(false, Ordering::Release);
    }
}
