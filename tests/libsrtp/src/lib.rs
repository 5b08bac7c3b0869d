//! libsrtp2, loaded into the process: the oracle of our own transform, and what it is measured against.
//!
//! Loaded at run time, so that a build needs neither headers nor the library, and so that two builds of it, each with
//! the crypto library it was linked with, can stand beside each other.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_ulong, c_void};
use std::ptr::{null, null_mut};
use std::sync::Arc;

use rtp::srtp::Suite;

/// Debian's build, of the package `libsrtp2-1`.
pub const DEBIAN: &str = "libsrtp2.so.1";
/// Most bytes that protection adds: the longest tag, the longest key identifier and the index of RTCP.
pub const TRAILER_BYTES_MAX: usize = 16 + 128 + 4;

/// A loaded library.
#[derive(Clone)]
pub struct Library {
    functions: Arc<Functions>,
}

/// The functions of one library. It is never unloaded.
struct Functions {
    create: unsafe extern "C" fn(*mut Context, *const Policy) -> c_int,
    update: unsafe extern "C" fn(Context, *const Policy) -> c_int,
    dealloc: unsafe extern "C" fn(Context) -> c_int,
    protect: Work,
    unprotect: Work,
    protect_rtcp: Work,
    unprotect_rtcp: Work,
    version: String,
}

type Context = *mut c_void;
type Work = unsafe extern "C" fn(Context, *mut c_void, *mut c_int) -> c_int;

impl Library {
    /// Loads the library `name` and starts it.
    ///
    /// # Errors
    /// What the loader said, or which function is missing.
    pub fn load(name: &str) -> Result<Self, String> {
        let handle = open(name, libc::RTLD_NOW | libc::RTLD_LOCAL | libc::RTLD_DEEPBIND)?;
        Self::start(name, handle)
    }

    /// Loads the library `name` that is an extension of Python's: its interpreter is loaded first, from
    /// `interpreter`, and its functions are looked up only when they are called, which is never.
    ///
    /// # Errors
    /// What the loader said, or which function is missing.
    pub fn load_extension(name: &str, interpreter: &str) -> Result<Self, String> {
        open(interpreter, libc::RTLD_LAZY | libc::RTLD_GLOBAL)?;
        let handle = open(name, libc::RTLD_LAZY | libc::RTLD_LOCAL | libc::RTLD_DEEPBIND)?;
        Self::start(name, handle)
    }

    fn start(name: &str, handle: *mut c_void) -> Result<Self, String> {
        let find = |symbol: &CStr| {
            // SAFETY: the handle comes from `dlopen` and is never closed; the symbol is a C string.
            let address = unsafe { libc::dlsym(handle, symbol.as_ptr()) };
            let missing = || format!("{name} has no {}", symbol.to_string_lossy());
            if address.is_null() { Err(missing()) } else { Ok(address) }
        };
        // SAFETY: these are the types that srtp.h of 2.0 to 2.8 gives to the functions of these names, and the
        // addresses are theirs; `srtp_get_version_string` returns a static string.
        let (init, functions) = unsafe {
            let init: unsafe extern "C" fn() -> c_int = std::mem::transmute(find(c"srtp_init")?);
            let version: unsafe extern "C" fn() -> *const c_char =
                std::mem::transmute(find(c"srtp_get_version_string")?);
            let functions = Functions {
                create: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut Context, *const Policy) -> c_int,
                >(find(c"srtp_create")?),
                update: std::mem::transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(Context, *const Policy) -> c_int,
                >(find(c"srtp_update")?),
                dealloc: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(Context) -> c_int>(find(
                    c"srtp_dealloc",
                )?),
                protect: std::mem::transmute::<*mut c_void, Work>(find(c"srtp_protect")?),
                unprotect: std::mem::transmute::<*mut c_void, Work>(find(c"srtp_unprotect")?),
                protect_rtcp: std::mem::transmute::<*mut c_void, Work>(find(c"srtp_protect_rtcp")?),
                unprotect_rtcp: std::mem::transmute::<*mut c_void, Work>(find(c"srtp_unprotect_rtcp")?),
                version: CStr::from_ptr(version()).to_string_lossy().into_owned(),
            };
            (init, functions)
        };
        // SAFETY: takes nothing, and is called before any other function of the library.
        match unsafe { init() } {
            0 => Ok(Self { functions: Arc::new(functions) }),
            status => Err(format!("{name}: srtp_init: {status}")),
        }
    }

    /// What it calls itself.
    pub fn version(&self) -> &str {
        &self.functions.version
    }

    /// A session for every source of one direction under `suite`, with `key` and salt in one.
    ///
    /// # Errors
    /// [`Failure`]; a build without AES-GCM has no such suite.
    pub fn session(&self, direction: Direction, suite: Suite, key: &[u8]) -> Result<Session, Failure> {
        let mut session = Session { library: self.clone(), context: null_mut() };
        with_policy(direction, suite, key, |policy| {
            // SAFETY: the policy and the key it points to outlive the call; the library copies both.
            check(unsafe { (self.functions.create)(&raw mut session.context, policy) })
        })?;
        Ok(session)
    }
}

/// Which way packets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// They are received.
    Inbound,
    /// They are sent.
    Outbound,
}

/// One direction.
pub struct Session {
    library: Library,
    context: Context,
}

// SAFETY: a session has no tie to a thread; it is used by one at a time, as every method takes `&mut self`, and the
// library's global state is only read once it is started.
unsafe impl Send for Session {}

impl Session {
    /// Protects the RTP packet in the first `length` bytes of `buffer`; returns the length of the protected one.
    ///
    /// # Errors
    /// [`Failure`].
    ///
    /// # Panics
    /// Without [`TRAILER_BYTES_MAX`] bytes of room behind the packet.
    pub fn protect(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, Failure> {
        self.work(self.library.functions.protect, buffer, length, TRAILER_BYTES_MAX)
    }

    /// Unprotects the RTP packet `packet`; returns the length of the plain one.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn unprotect(&mut self, packet: &mut [u8]) -> Result<usize, Failure> {
        self.work(self.library.functions.unprotect, packet, packet.len(), 0)
    }

    /// As [`protect`](Self::protect), for RTCP.
    ///
    /// # Errors
    /// [`Failure`].
    ///
    /// # Panics
    /// Without [`TRAILER_BYTES_MAX`] bytes of room behind the packet.
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, Failure> {
        self.work(self.library.functions.protect_rtcp, buffer, length, TRAILER_BYTES_MAX)
    }

    /// As [`unprotect`](Self::unprotect), for RTCP.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, Failure> {
        self.work(self.library.functions.unprotect_rtcp, packet, packet.len(), 0)
    }

    /// Goes on under another key.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn update(&mut self, direction: Direction, suite: Suite, key: &[u8]) -> Result<(), Failure> {
        with_policy(direction, suite, key, |policy| {
            // SAFETY: the context is live; the policy and the key outlive the call; the library copies both.
            check(unsafe { (self.library.functions.update)(self.context, policy) })
        })
    }

    fn work(&mut self, work: Work, buffer: &mut [u8], length: usize, room: usize) -> Result<usize, Failure> {
        assert!(buffer.len() >= length + room, "room for what protection adds");
        let mut length = c_int::try_from(length).expect("the length of a packet");
        // SAFETY: the context is live; the library reads `length` bytes and writes at most `room` behind them, all of
        // which lie in the buffer; a packet of any alignment is read byte by byte on the machines we run on.
        check(unsafe { work(self.context, buffer.as_mut_ptr().cast(), &raw mut length) })?;
        Ok(usize::try_from(length).expect("a length"))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.context.is_null() {
            // SAFETY: the context is live and not used again.
            unsafe { (self.library.functions.dealloc)(self.context) };
        }
    }
}

/// What the library did not do, as the number of its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure(pub c_int);

impl Failure {
    /// The tag differs.
    pub const UNAUTHENTIC: Self = Self(7);
    /// The index was seen before.
    pub const REPLAYED: Self = Self(9);
    /// The index lies behind the window.
    pub const TOO_OLD: Self = Self(10);
}

fn check(status: c_int) -> Result<(), Failure> {
    if status == 0 { Ok(()) } else { Err(Failure(status)) }
}

fn open(name: &str, flags: c_int) -> Result<*mut c_void, String> {
    let path = CString::new(name).map_err(|error| format!("{name:?}: {error}"))?;
    // SAFETY: the path is a C string. What the library does as it is loaded is its own affair: it is one that we
    // chose by name.
    let handle = unsafe { libc::dlopen(path.as_ptr(), flags) };
    if !handle.is_null() {
        return Ok(handle);
    }
    // SAFETY: after a failure it points to a C string, valid until this thread's next call.
    let said = unsafe { CStr::from_ptr(libc::dlerror()) };
    Err(said.to_string_lossy().into_owned())
}

fn with_policy<T>(
    direction: Direction,
    suite: Suite,
    key: &[u8],
    work: impl FnOnce(*const Policy) -> T,
) -> T {
    assert_eq!(key.len(), suite.master_bytes(), "key and salt");
    let crypto = |tag_bytes: usize| {
        let number = |bytes: usize| c_int::try_from(bytes).expect("the length of a key or tag");
        Crypto {
            cipher: cipher_number(suite),
            cipher_key_bytes: number(suite.master_bytes()),
            authentication: if suite.is_aead() { NULL_AUTH } else { HMAC_SHA1 },
            authentication_key_bytes: if suite.is_aead() { 0 } else { 20 },
            tag_bytes: number(tag_bytes),
            services: CONFIDENTIALITY_AND_AUTHENTICATION,
        }
    };
    let source = match direction {
        Direction::Inbound => ANY_INBOUND,
        Direction::Outbound => ANY_OUTBOUND,
    };
    let policy = Policy {
        source: Source { kind: source, value: 0 },
        rtp: crypto(suite.rtp_tag_bytes()),
        rtcp: crypto(suite.rtcp_tag_bytes()),
        key: key.as_ptr(),
        keys: null(),
        keys_count: 0,
        deprecated_ekt: null_mut(),
        window_size: 128,
        allow_repeat_tx: 0,
        encrypted_extensions: null(),
        encrypted_extensions_count: 0,
        next: null(),
    };
    work(&raw const policy)
}

fn cipher_number(suite: Suite) -> u32 {
    match suite {
        Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 => 1,
        Suite::Aes192CmHmacSha1_80 | Suite::Aes192CmHmacSha1_32 => 4,
        Suite::Aes256CmHmacSha1_80 | Suite::Aes256CmHmacSha1_32 => 5,
        Suite::AeadAes128Gcm => 6,
        Suite::AeadAes256Gcm => 7,
    }
}

const NULL_AUTH: u32 = 0;
const HMAC_SHA1: u32 = 3;
const CONFIDENTIALITY_AND_AUTHENTICATION: c_uint = 3;
const ANY_INBOUND: c_uint = 2;
const ANY_OUTBOUND: c_uint = 3;

/// `srtp_policy_t` of 2.x.
#[repr(C)]
struct Policy {
    source: Source,
    rtp: Crypto,
    rtcp: Crypto,
    key: *const u8,
    keys: *const c_void,
    keys_count: c_ulong,
    deprecated_ekt: *mut c_void,
    window_size: c_ulong,
    allow_repeat_tx: c_int,
    encrypted_extensions: *const c_int,
    encrypted_extensions_count: c_int,
    next: *const Policy,
}

/// `srtp_ssrc_t`.
#[repr(C)]
struct Source {
    kind: c_uint,
    value: c_uint,
}

/// `srtp_crypto_policy_t`.
#[repr(C)]
struct Crypto {
    cipher: u32,
    cipher_key_bytes: c_int,
    authentication: u32,
    authentication_key_bytes: c_int,
    tag_bytes: c_int,
    services: c_uint,
}
