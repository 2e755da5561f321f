//! One connection: reads a frame, waits as long as the faults say, answers as the faults say, and starts over.
//!
//! The faults are read afresh for every frame, so a change holds from the next frame on. While the connection waits
//! for a frame it also watches for a change, because a shorter idle time or a lower number of frames may end it now.
//!
//! While a reply is being delayed, the connection goes on reading, one frame ahead. That is how it notices a client
//! that hangs up; more than one frame ahead would let a client fill the memory.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use fastrand::Rng;
use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::codec::Framed;

use crate::codec::{FrameCodec, SMALL};
use crate::shared::Admission;
use crate::transport::Transport;
use crate::{CROSSTALK_MARKER, Faults, Reply};

/// Bytes of noise after the length that [`Reply::Garbage`] announces.
const NOISE: usize = 32;

/// The fields drop in this order: the stream is closed before the connection stops counting as open.
pub(crate) struct Connection<T> {
    framed: Framed<T, FrameCodec>,
    faults: watch::Receiver<Faults>,
    rng: Rng,
    /// What `rng` was seeded with.
    seed: u64,
    /// A frame that arrived while the one before it was being answered.
    ahead: Option<Request>,
    /// Frames answered, or meant to stay unanswered.
    handled: u64,
    /// Half a frame is out: anything that follows would be taken for its other half.
    stalled: bool,
    /// When the last frame was handled, or the connection began.
    quiet_since: Instant,
    admission: Admission,
}

struct Request {
    payload: Bytes,
    /// What the server had received before it, on any connection.
    previous: Option<Bytes>,
}

/// What becomes of the connection after a reply.
#[derive(PartialEq)]
enum After {
    Continue,
    Close,
}

impl<T: Transport> Connection<T> {
    pub(crate) fn new(stream: T, admission: Admission) -> Connection<T> {
        let shared = admission.shared();
        let faults = shared.faults.subscribe();
        let seed = faults.borrow().seed;
        Connection {
            framed: Framed::new(stream, FrameCodec::new(shared.max_frame_length, Arc::clone(&shared.budget))),
            rng: rng(seed, admission.number),
            seed,
            faults,
            ahead: None,
            handled: 0,
            stalled: false,
            quiet_since: Instant::now(),
            admission,
        }
    }

    /// Serves the connection until either side ends it.
    pub(crate) async fn run(mut self) {
        tokio::select! {
            biased;
            () = self.admission.dismissed() => {}
            // An error is the client's doing, or the death of the link. Closing is the answer to both.
            _ = self.converse() => {}
        }
    }

    async fn converse(&mut self) -> io::Result<()> {
        while let Some(request) = self.next_request().await? {
            let faults = self.faults.borrow_and_update().clone();
            if faults.seed != self.seed {
                self.seed = faults.seed;
                self.rng = rng(faults.seed, self.admission.number);
            }
            let delay = self.draw_delay(&faults);
            if !delay.is_zero() && !self.wait_out(delay).await? {
                break;
            }
            let answer = self.answer(request, faults.reply);
            let after = match faults.close_idle_after {
                Some(limit) => timeout(limit, answer).await??,
                None => answer.await?,
            };
            if after == After::Close {
                break;
            }
            self.handled += 1;
            self.quiet_since = Instant::now();
        }
        Ok(())
    }

    /// The next frame, or `None` when the connection is over.
    async fn next_request(&mut self) -> io::Result<Option<Request>> {
        loop {
            let (close_after_frames, close_idle_after) = {
                let faults = self.faults.borrow_and_update();
                (faults.close_after_frames, faults.close_idle_after)
            };
            if close_after_frames.is_some_and(|frames| self.handled >= frames) {
                return Ok(None);
            }
            if let Some(request) = self.ahead.take() {
                return Ok(Some(request));
            }
            // An end beyond what the clock can express never comes.
            let idle_end = close_idle_after.and_then(|after| self.quiet_since.checked_add(after));
            tokio::select! {
                biased;
                request = read(&mut self.framed, &self.admission) => return request,
                changed = self.faults.changed() => changed.map_err(io::Error::other)?,
                () = sleep_until(idle_end.unwrap_or_else(Instant::now)), if idle_end.is_some() => return Ok(None),
            }
        }
    }

    fn draw_delay(&mut self, faults: &Faults) -> Duration {
        let random = match &faults.random_latency {
            Some(range) if range.start() < range.end() => {
                let nanos = |duration: &Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
                Duration::from_nanos(self.rng.u64(nanos(range.start())..=nanos(range.end())))
            }
            Some(range) => *range.start(),
            None => Duration::ZERO,
        };
        random.saturating_add(faults.latency.unwrap_or_default())
    }

    /// Waits; false if the client hung up meanwhile.
    async fn wait_out(&mut self, delay: Duration) -> io::Result<bool> {
        let delay = sleep(delay);
        tokio::pin!(delay);
        loop {
            tokio::select! {
                biased;
                () = &mut delay => return Ok(true),
                request = read(&mut self.framed, &self.admission), if self.ahead.is_none() => match request? {
                    Some(request) => self.ahead = Some(request),
                    None => return Ok(false),
                },
            }
        }
    }

    async fn answer(&mut self, request: Request, reply: Reply) -> io::Result<After> {
        if self.stalled {
            return Ok(After::Continue);
        }
        match reply {
            Reply::Echo => self.send(request.payload).await?,
            Reply::Crosstalk => {
                let marker =
                    &CROSSTALK_MARKER[..CROSSTALK_MARKER.len().min(self.framed.codec().max_frame_length())];
                self.send(request.previous.unwrap_or(Bytes::from_static(marker))).await?;
            }
            Reply::Never => {}
            Reply::HalfThenStall => {
                self.send_half(request.payload).await?;
                self.stalled = true;
            }
            Reply::HalfThenClose => {
                self.send_half(request.payload).await?;
                return Ok(After::Close);
            }
            Reply::Garbage => {
                let mut garbage = BytesMut::with_capacity(4 + NOISE);
                garbage.put_u32(u32::MAX);
                garbage.extend((0..NOISE).map(|_| self.rng.u8(..)));
                self.send_raw(&mut garbage).await?;
            }
            Reply::Reset => {
                self.framed.get_ref().reset_on_drop();
                return Ok(After::Close);
            }
        }
        Ok(After::Continue)
    }

    async fn send(&mut self, payload: Bytes) -> io::Result<()> {
        self.admission.sending(&payload);
        if payload.len() <= SMALL {
            return self.framed.send(payload).await;
        }
        let header = header(&payload);
        self.send_raw(&mut header.chain(payload)).await
    }

    async fn send_half(&mut self, payload: Bytes) -> io::Result<()> {
        let frame = header(&payload).chain(payload);
        let half = frame.remaining() / 2;
        self.send_raw(&mut frame.take(half)).await
    }

    /// Sends bytes past the codec. Its buffer is empty, because every other write is flushed.
    async fn send_raw(&mut self, bytes: &mut impl Buf) -> io::Result<()> {
        let stream = self.framed.get_mut();
        stream.write_all_buf(bytes).await?;
        stream.flush().await
    }
}

/// Reads one frame and counts it. Cancel safe: a frame read in part stays in the buffer.
async fn read<T: Transport>(
    framed: &mut Framed<T, FrameCodec>,
    admission: &Admission,
) -> io::Result<Option<Request>> {
    let Some(payload) = framed.next().await.transpose()? else { return Ok(None) };
    let previous = admission.received(&payload);
    Ok(Some(Request { payload, previous }))
}

/// The length of a payload, as it stands in front of it. No payload is longer than the header can say.
fn header(payload: &Bytes) -> Bytes {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    Bytes::copy_from_slice(&length.to_be_bytes())
}

/// The generator of the connection with this number. The odd constant, 2^64 by the golden ratio, keeps neighbouring
/// seeds and neighbouring connections apart.
fn rng(seed: u64, number: u64) -> Rng {
    Rng::with_seed(seed.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_fixes_each_connection_and_tells_them_apart() {
        let draws = |seed, number| -> Vec<u64> {
            let mut rng = rng(seed, number);
            (0..4).map(|_| rng.u64(..)).collect()
        };
        assert_eq!(draws(1, 0), draws(1, 0));
        assert_ne!(draws(1, 0), draws(1, 1));
        assert_ne!(draws(1, 0), draws(2, 0));
    }
}
