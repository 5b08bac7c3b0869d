//! `tollgate top`: the workers and calls of a running engine, live.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Style, Stylize};
use ratatui::widgets::{Cell, Paragraph, Row, Table};
use ratatui::{DefaultTerminal, Frame};

use super::Engine;
use super::ng::Client;
use super::snapshot::{SESSION_COLUMNS, Snapshot, WORKER_COLUMNS};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    engine: Engine,
    /// Print it once and end
    #[arg(long)]
    once: bool,
    /// Print it once as JSON and end
    #[arg(long)]
    json: bool,
    /// Seconds between two looks
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
}

pub(crate) fn run(options: Options) -> anyhow::Result<ExitCode> {
    let mut client = Client::new(options.engine.ng)?;
    if options.json {
        println!("{}", Snapshot::take(&mut client, SESSIONS_MAX)?.json());
    } else if options.once {
        print!("{}", plain(&Snapshot::take(&mut client, SESSIONS_MAX)?));
    } else {
        let first = Snapshot::take(&mut client, SESSIONS_MAX)?;
        let terminal = ratatui::try_init().context("a terminal; --once and --json need none")?;
        let shown = live(terminal, &mut client, first, Duration::from_secs(options.interval));
        ratatui::restore();
        shown?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Looks and draws until somebody wants no more.
fn live(
    mut terminal: DefaultTerminal,
    client: &mut Client,
    mut snapshot: Snapshot,
    interval: Duration,
) -> anyhow::Result<()> {
    let mut note = String::new();
    loop {
        terminal.draw(|frame| draw(frame, &snapshot, &note))?;
        if event::poll(interval)? && ends(&event::read()?) {
            return Ok(());
        }
        match Snapshot::take(client, SESSIONS_MAX) {
            Ok(fresh) => (snapshot, note) = (fresh, String::new()),
            Err(error) => note = format!("{error:#}"),
        }
    }
}

fn ends(event: &Event) -> bool {
    let Event::Key(KeyEvent { code, modifiers, .. }) = event else { return false };
    matches!(code, KeyCode::Char('q') | KeyCode::Esc)
        || (*code == KeyCode::Char('c') && modifiers.contains(KeyModifiers::CONTROL))
}

fn draw(frame: &mut Frame<'_>, snapshot: &Snapshot, note: &str) {
    let workers = u16::try_from(snapshot.workers.len()).unwrap_or(u16::MAX).saturating_add(2);
    let areas = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Max(workers),
        Constraint::Min(3),
    ])
    .split(frame.area());
    frame.render_widget(Paragraph::new(snapshot.headline()).bold(), areas[0]);
    frame.render_widget(Paragraph::new(note.to_owned()).red(), areas[1]);
    let header = |names: &[&'static str]| {
        Row::new(names.iter().map(|name| Cell::from(*name)).collect::<Vec<_>>())
            .style(Style::new().reversed())
    };
    let rows = snapshot.workers.iter().map(|worker| Row::new(worker.cells()));
    let widths = [Constraint::Min(8), Constraint::Min(7), Constraint::Min(7), Constraint::Min(10)];
    let widths = widths.into_iter().chain([Constraint::Min(9); 4]);
    frame.render_widget(Table::new(rows, widths).header(header(&WORKER_COLUMNS)), areas[2]);
    let rows = snapshot.sessions.iter().map(|session| Row::new(session.cells()));
    let widths = [Constraint::Fill(1), Constraint::Length(10), Constraint::Length(8)];
    let widths = widths.into_iter().chain([Constraint::Length(12); 2]);
    frame.render_widget(Table::new(rows, widths).header(header(&SESSION_COLUMNS)), areas[3]);
}

/// The same as lines.
fn plain(snapshot: &Snapshot) -> String {
    let line = |cells: &[String]| {
        let padded = cells.iter().map(|cell| format!("{cell:>13}")).collect::<Vec<_>>().join(" ");
        padded + "\n"
    };
    let named = |names: &[&str]| line(&names.iter().map(ToString::to_string).collect::<Vec<_>>());
    let mut text = snapshot.headline() + "\n" + &named(&WORKER_COLUMNS);
    text.extend(snapshot.workers.iter().map(|worker| line(&worker.cells())));
    text += &named(&SESSION_COLUMNS);
    text.extend(snapshot.sessions.iter().map(|session| line(&session.cells())));
    text
}

/// Calls shown at most: a screen of them.
const SESSIONS_MAX: usize = 50;

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::snapshot::tests::snapshot;
    use super::*;

    #[test]
    fn a_screen_shows_workers_calls_and_what_went_wrong() {
        let mut terminal = Terminal::new(TestBackend::new(100, 12)).expect("a terminal in memory");
        terminal.draw(|frame| draw(frame, &snapshot(), "no answer")).expect("drawn");
        let screen = terminal.backend().to_string();
        for part in
            ["up 1:02:03  calls 3", "no answer", "packets/s", "1.2 %", "12.3 µs", "one?[2J@x", "parties"]
        {
            assert!(screen.contains(part), "{part} in\n{screen}");
        }
    }

    #[test]
    fn a_small_screen_is_no_trouble() {
        for (width, height) in [(1, 1), (10, 2), (40, 5)] {
            let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal in memory");
            terminal.draw(|frame| draw(frame, &snapshot(), "x")).expect("drawn");
        }
    }

    #[test]
    fn lines_say_the_same() {
        let text = plain(&snapshot());
        assert!(text.lines().count() == 5 && text.contains("one?[2J@x"), "{text}");
    }
}
