//! Children and their end, with `sleep` and `sh` as the children.

use super::*;

const SOON: Duration = Duration::from_secs(20);

fn shell(script: &str) -> (tempfile::TempDir, Process) {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    let process = Process::spawn("script", &mut command, &dir.path().join("script.log")).unwrap();
    (dir, process)
}

async fn gone(identity: &Identity) {
    eventually("the process to be gone", SOON, async || {
        if identity.is_alive() { Err("it runs on".into()) } else { Ok(()) }
    })
    .await
    .unwrap();
}

/// The process id that a script printed as its only line.
async fn printed_pid(process: &mut Process) -> Identity {
    let log = process.log().to_owned();
    let pid = process
        .until("says a process id", SOON, async || {
            let text = fs::read_to_string(&log).map_err(|error| error.to_string())?;
            text.trim().parse::<u32>().map_err(|error| error.to_string())
        })
        .await
        .unwrap();
    Identity::of(pid).unwrap()
}

#[tokio::test]
async fn a_dropped_process_takes_its_whole_group_with_it() {
    let (_dir, mut process) = shell("sleep 600 & echo $!; wait");
    let grandchild = printed_pid(&mut process).await;
    let child = process.identity().unwrap();
    drop(process);
    assert!(!child.is_alive());
    gone(&grandchild).await;
}

#[tokio::test]
async fn a_process_ends_when_its_owner_vanishes_without_a_word() {
    let (_dir, mut process) = shell("sleep 600 & echo $!; wait");
    let grandchild = printed_pid(&mut process).await;
    // What the kernel does for a killed owner: the pipe to the lifeline closes.
    drop(process.lifeline.0.stdin.take());
    gone(&grandchild).await;
    assert!(!process.wait(SOON).await.unwrap().success());
}

#[tokio::test]
async fn a_process_left_running_survives_and_can_be_ended_by_identity() {
    let (_dir, process) = shell("exec sleep 600");
    let identity = process.identity().unwrap();
    process.leave_running();
    assert!(identity.is_alive());
    identity.end(SOON).await.unwrap();
    assert!(!identity.is_alive());
}

#[tokio::test]
async fn a_start_that_fails_shows_the_log_of_this_start_only() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("x.log");
    fs::write(&log, "bind: address already in use\n").unwrap();
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "echo unknown flag; exit 3"]);
    let mut process = Process::spawn("x", &mut command, &log).unwrap();
    let error = process.until("is ready", SOON, async || Err::<(), _>("no".into())).await;
    let Err(StartError::Failed(error)) = error else { panic!("not an address in use") };
    let error = error.to_string();
    assert!(error.contains("exit status: 3") && error.contains("unknown flag"), "{error}");
    assert!(!error.contains("in use"), "{error}");
}

#[tokio::test]
async fn an_address_in_use_is_told_from_other_failures() {
    let (_dir, mut process) = shell("echo listen tcp: bind: Address already in use >&2; exit 1");
    let error = process.until("is ready", SOON, async || Err::<(), _>("no".into())).await;
    assert!(matches!(error, Err(StartError::AddressInUse(_))), "{error:?}");
}

#[tokio::test]
async fn terminate_gives_the_exit_status() {
    let (_dir, mut process) = shell("trap 'exit 7' TERM; echo $$; while :; do sleep 0.05; done");
    printed_pid(&mut process).await;
    assert_eq!(process.terminate(SOON).await.unwrap().code(), Some(7));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_stopped_process_does_nothing_until_it_goes_on() {
    // No loop of short children: a shell that is stopped while it waits in vfork(2) is shown as D.
    let (_dir, mut process) = shell("echo $$; exec sleep 600");
    printed_pid(&mut process).await;
    process.pause().unwrap();
    let stat = format!("/proc/{}/stat", process.pid());
    eventually("it to be stopped", SOON, async || {
        let stat = fs::read_to_string(&stat).map_err(|error| error.to_string())?;
        if stat.contains(") T ") { Ok(()) } else { Err(stat) }
    })
    .await
    .unwrap();
    process.resume().unwrap();
    eventually("it to go on", SOON, async || {
        let stat = fs::read_to_string(&stat).map_err(|error| error.to_string())?;
        if stat.contains(") T ") { Err(stat) } else { Ok(()) }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_stopped_process_can_be_killed() {
    let (_dir, mut process) = shell("exec sleep 600");
    let identity = process.identity().unwrap();
    process.pause().unwrap();
    process.kill();
    assert!(!identity.is_alive());
}
