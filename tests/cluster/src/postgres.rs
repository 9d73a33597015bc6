//! A PostgreSQL of a test's own: made by `initdb` in a temporary folder, and stopped when it is dropped.

use std::env;
use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

/// What PostgreSQL does not run as; of these it runs as the first that there is.
const NOT_ROOT: [&str; 2] = ["postgres", "nobody"];

/// A server on a port of the loopback address.
pub struct Postgres {
    folder: TempDir,
    programs: PathBuf,
    user: Option<&'static str>,
    port: u16,
}

/// A server that takes connections by TLS and with a password alone, of the user `lote` with the password `hunter22`.
pub struct Encrypted {
    pub postgres: Postgres,
    /// The certificate of who vouches for it, as `localhost`, and that of somebody else.
    pub authority: PathBuf,
    pub other: PathBuf,
}

impl Postgres {
    /// Starts one. None where PostgreSQL is not installed; where CI runs that is a failure.
    pub fn start() -> Option<Postgres> {
        let postgres = Postgres::make()?;
        postgres.run();
        Some(postgres)
    }

    /// Starts one that takes connections by TLS alone.
    pub fn encrypted() -> Option<Encrypted> {
        let postgres = Postgres::make()?;
        let [ours, theirs] = [(); 2].map(|()| Authority::new());
        let (certificate, key) = ours.vouch_for("localhost");
        let place = |name: &str| postgres.folder.path().join(name);
        let paths = ["server.crt", "server.key", "ours.pem", "theirs.pem"].map(place);
        for (path, text) in paths.iter().zip([certificate, key, ours.pem(), theirs.pem()]) {
            fs::write(path, text).unwrap();
        }
        let [certificate, key, authority, other] = paths;
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        if let Some(user) = postgres.user {
            succeed(Command::new("chown").arg(user).arg(&key));
        }
        // The password first, while it can be set without one.
        postgres.run();
        postgres.sql("postgres", "ALTER USER lote PASSWORD 'hunter22'");
        postgres.crash();
        let settings = [("ssl_cert_file", &certificate), ("ssl_key_file", &key)];
        let mut text: String = settings.map(|(name, path)| format!("{name} = '{}'\n", path.display())).concat();
        text.push_str("ssl = on\n");
        let mut file = fs::File::options().append(true).open(postgres.data().join("postgresql.conf")).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        fs::write(postgres.data().join("pg_hba.conf"), "hostssl all all 127.0.0.1/32 scram-sha-256\n").unwrap();
        postgres.run();
        Some(Encrypted { postgres, authority, other })
    }

    /// Makes one that is not started.
    fn make() -> Option<Postgres> {
        let Some(programs) = programs() else {
            assert!(env::var_os("CI").is_none(), "PostgreSQL's programs are not installed");
            eprintln!("skipped: PostgreSQL's programs (initdb, pg_ctl) are not installed");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let is_root = printed("id", &["-u"]).as_deref() == Some("0");
        let user = is_root.then(|| NOT_ROOT.into_iter().find(|user| printed("id", &["-u", user]).is_some()).unwrap());
        if let Some(user) = user {
            succeed(Command::new("chown").arg(user).arg(folder.path()));
        }
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let postgres = Postgres { folder, programs, user, port };
        // Nothing is wanted of the folder after a crash of the machine before its first use.
        let options = ["-U", "lote", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"];
        succeed(postgres.program("initdb").arg("-D").arg(postgres.data()).args(options));
        Some(postgres)
    }

    /// Starts the server, when it was made or stopped.
    pub fn run(&self) {
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=on -c deadlock_timeout=100ms -c max_connections=500",
            self.port
        );
        let log = self.folder.path().join("log");
        let mut start = self.control("start");
        succeed(start.arg("-l").arg(log).arg("-o").arg(options));
    }

    /// Stops it, as a crash does.
    pub fn crash(&self) {
        succeed(self.control("stop").args(["-m", "immediate"]));
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        url(self.port)
    }

    /// The URL of one of its databases.
    pub fn url_of(&self, database: &str) -> String {
        format!("postgres://lote@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs a statement by `psql`; what it tells, a row a line.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        self.sql_at(&self.url_of(database), sql)
    }

    /// The same, by a URL of one's own.
    pub fn sql_at(&self, url: &str, sql: &str) -> String {
        let mut psql = self.program("psql");
        psql.args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql]);
        let output = psql.output().unwrap();
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn control(&self, what: &str) -> Command {
        let mut command = self.program("pg_ctl");
        command.arg(what).arg("-w").arg("-s").arg("-D").arg(self.data());
        command
    }

    /// One of its programs, as a user that it runs as.
    fn program(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        let mut command = match self.user {
            None => Command::new(program),
            Some(user) => {
                let group = printed("id", &["-g", user]).unwrap();
                let mut command = Command::new("setpriv");
                command.args(["--reuid", user, "--regid", &group, "--clear-groups"]).arg(program);
                command
            }
        };
        // Not the folder of the tests, which this user may not see.
        command.current_dir(self.folder.path()).env("HOME", self.folder.path());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // An error says that it was stopped before.
        let _ = self.control("stop").args(["-m", "immediate"]).stderr(Stdio::null()).status();
    }
}

/// Who vouches for servers.
struct Authority(Certificate, Issuer<'static, KeyPair>);

impl Authority {
    fn new() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.distinguished_name.push(DnType::CommonName, "an authority of tests");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = parameters.self_signed(&key).unwrap();
        Authority(certificate, Issuer::new(parameters, key))
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for this name, and its key.
    fn vouch_for(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new([name.to_owned()]).unwrap();
        (parameters.signed_by(&key, &self.1).unwrap().pem(), key.serialize_pem())
    }
}

/// The URL of a server, or of a proxy before it.
pub(crate) fn url(port: u16) -> String {
    format!("postgres://lote@127.0.0.1:{port}/postgres")
}

/// The folder of PostgreSQL's programs: where `pg_config` says, or on the path.
fn programs() -> Option<PathBuf> {
    let named = printed("pg_config", &["--bindir"]).map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    named.into_iter().chain(env::split_paths(&path)).find(|folder| is_there(folder))
}

fn is_there(folder: &Path) -> bool {
    ["initdb", "pg_ctl", "postgres"].iter().all(|program| folder.join(program).is_file())
}

/// What a program prints, if it succeeds.
fn printed(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn succeed(command: &mut Command) {
    // Files, not pipes: the server that is started keeps them open.
    let status = command.stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}
