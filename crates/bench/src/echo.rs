//! The echo of S5: the server, which is a process of its own, and one exchange as one would write it by hand. A packet is a
//! length of four bytes, big-endian, and a payload.

use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::competitor::Source;
use crate::runtime;

pub const PAYLOAD: [u8; 64] = [b'x'; 64];

const HEADER: usize = 4;

/// Prints its address and echoes until its input ends.
pub fn serve() -> Result<()> {
    runtime::single().block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("{}", listener.local_addr()?);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(echo(stream));
            }
        });
        // Ends with the program that started it, however that ends.
        tokio::task::spawn_blocking(|| io::stdin().read_line(&mut String::new())).await??;
        Ok(())
    })
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; 4096];
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..length]).await?;
    }
}

/// Sends the payload and reads it back, with one system call each way.
pub async fn exchange(stream: &mut TcpStream) -> io::Result<()> {
    let mut packet = [0; HEADER + PAYLOAD.len()];
    packet[..HEADER].copy_from_slice(&(PAYLOAD.len() as u32).to_be_bytes());
    packet[HEADER..].copy_from_slice(&PAYLOAD);
    stream.write_all(&packet).await?;
    let mut reply = [0; HEADER + PAYLOAD.len()];
    stream.read_exact(&mut reply).await?;
    if reply == packet { Ok(()) } else { Err(io::Error::other("the echo is not what was sent")) }
}

pub async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Connections to the echo server, which the pool looks at before it hands one out.
#[derive(Debug)]
pub struct Looking(pub SocketAddr);

impl Source for Looking {
    type Connection = TcpStream;

    async fn open(&self) -> io::Result<TcpStream> {
        connect(self.0).await
    }

    /// Asks the operating system: an end of the stream, or a byte that nobody asked for, may have arrived.
    fn is_open(stream: &mut TcpStream) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        let peeked = SockRef::from(&*stream).peek(&mut byte);
        peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }
}

/// The same, without the look.
#[derive(Debug)]
pub struct Trusting(pub SocketAddr);

impl Source for Trusting {
    type Connection = TcpStream;

    async fn open(&self) -> io::Result<TcpStream> {
        connect(self.0).await
    }
}
