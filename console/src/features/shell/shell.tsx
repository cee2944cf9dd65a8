'use client';

import { ChevronRight, Keyboard, LogOut, Menu as MenuIcon, Monitor, Moon, Search, Sun, UserRound } from 'lucide-react';
import { useTheme } from 'next-themes';
import { usePathname, useRouter } from 'next/navigation';
import { useEffect, useRef, useState } from 'react';
import { Toaster } from 'sonner';
import { buttonStyle } from '../../ui/button-style.ts';
import { IconButton } from '../../ui/button.tsx';
import { cn } from '../../ui/cn.ts';
import { Dialog, Drawer } from '../../ui/dialog.tsx';
import { useEarlyInput } from '../../ui/early-input.tsx';
import { Kbd } from '../../ui/kbd.tsx';
import { Menu, MenuChoice, MenuItem, MenuLabel, MenuLine } from '../../ui/menu.tsx';
import { PageLink } from '../../ui/page-link.tsx';
import { LiveBadge } from '../live/badge.tsx';
import { allPlaces, crumbsOf } from './nav.ts';
import { CommandPalette } from './palette.tsx';
import { shortcutOf } from './shortcuts.ts';
import { Sidebar } from './sidebar.tsx';

/** What stays around every page: where you are, where you can go, whether it is live, who you are. */
export function Shell({ user, children }: { readonly user: string; readonly children: React.ReactNode }) {
  const [palette, setPalette] = useState(false);
  const [help, setHelp] = useState(false);
  const [menu, setMenu] = useState(false);
  const { theme, resolvedTheme, setTheme } = useTheme();
  const toggleTheme = () => setTheme(resolvedTheme === 'dark' ? 'light' : 'dark');
  useEarlyInput();
  useKeyboard({ openPalette: () => setPalette(true), openHelp: () => setHelp(true), toggleTheme });

  return (
    <div className="flex min-h-dvh">
      <a
        href="#content"
        className="sr-only focus:not-sr-only focus:fixed focus:top-2 focus:left-2 focus:z-50 focus:rounded-md focus:bg-surface focus:p-2"
      >
        Skip to content
      </a>
      <aside className="sticky top-0 h-dvh w-52 shrink-0 border-r bg-sunken max-lg:hidden">
        <Sidebar />
      </aside>
      <Drawer
        open={menu}
        onOpenChange={setMenu}
        title="Menu"
        className="right-auto left-0 max-w-64 border-r border-l-0 slide-in-from-left-8"
      >
        <Sidebar onNavigate={() => setMenu(false)} className="-mx-5 -my-4 h-auto" />
      </Drawer>
      <div className="flex min-w-0 flex-1 flex-col">
        <header className="sticky top-0 z-30 flex h-13 items-center gap-2 border-b bg-canvas/90 px-6 backdrop-blur max-md:px-3">
          <IconButton label="Menu" className="lg:hidden" onClick={() => setMenu(true)}>
            <MenuIcon aria-hidden="true" />
          </IconButton>
          <Breadcrumbs />
          <button
            type="button"
            onClick={() => setPalette(true)}
            aria-label="Search and commands"
            className="flex h-7 items-center gap-2 rounded-md border bg-surface px-2 text-xs text-ink-3 hover:text-ink"
          >
            <Search className="size-3.5" aria-hidden="true" />
            <span className="max-md:hidden">Search</span>
            <span className="flex gap-0.5 max-md:hidden">
              <Kbd>Ctrl</Kbd>
              <Kbd>K</Kbd>
            </span>
          </button>
          <LiveBadge />
          <Menu
            trigger={
              <button
                type="button"
                aria-label={`Account ${user}`}
                className={cn(buttonStyle({ kind: 'ghost', size: 'icon' }), 'rounded-full')}
              >
                <UserRound aria-hidden="true" />
              </button>
            }
          >
            <MenuLabel>Signed in as {user}</MenuLabel>
            <MenuLine />
            <MenuLabel>Theme</MenuLabel>
            <MenuChoice
              value={theme ?? 'system'}
              onChange={setTheme}
              options={[
                { value: 'light', label: 'Light', icon: <Sun aria-hidden="true" /> },
                { value: 'dark', label: 'Dark', icon: <Moon aria-hidden="true" /> },
                { value: 'system', label: 'As the system', icon: <Monitor aria-hidden="true" /> },
              ]}
            />
            <MenuLine />
            <MenuItem onSelect={() => setHelp(true)}>
              <Keyboard aria-hidden="true" /> Keyboard shortcuts
            </MenuItem>
            <MenuItem onSelect={() => void signOut()}>
              <LogOut aria-hidden="true" /> Sign out
            </MenuItem>
          </Menu>
        </header>
        <main
          id="content"
          tabIndex={-1}
          className="mx-auto flex w-full max-w-[1480px] flex-1 flex-col gap-5 px-6 pt-5 pb-12 outline-none max-md:px-3"
        >
          {children}
        </main>
      </div>
      <CommandPalette
        open={palette}
        onOpenChange={setPalette}
        onToggleTheme={toggleTheme}
        onSignOut={() => void signOut()}
      />
      <ShortcutHelp open={help} onOpenChange={setHelp} />
      <Toaster
        position="bottom-right"
        theme={resolvedTheme === 'dark' ? 'dark' : 'light'}
        richColors={false}
        closeButton
        toastOptions={{ className: 'font-sans!' }}
      />
    </div>
  );
}

async function signOut(): Promise<void> {
  await fetch('/api/session', { method: 'DELETE' });
  window.location.assign('/sign-in');
}

function Breadcrumbs() {
  const crumbs = crumbsOf(usePathname());
  return (
    <nav aria-label="Breadcrumbs" className="min-w-0 flex-1">
      <ol className="flex min-w-0 items-center gap-1 text-sm">
        {crumbs.map((crumb, index) => {
          const last = index === crumbs.length - 1;
          return (
            <li key={crumb.href} className={cn('flex min-w-0 items-center gap-1', !last && 'shrink-0')}>
              {index === 0 ? null : <ChevronRight className="size-3.5 shrink-0 text-ink-3" aria-hidden="true" />}
              {last ? (
                <span aria-current="page" className="truncate font-medium">
                  {crumb.label}
                </span>
              ) : (
                <PageLink href={crumb.href} className="text-ink-2 hover:text-ink">
                  {crumb.label}
                </PageLink>
              )}
            </li>
          );
        })}
      </ol>
    </nav>
  );
}

function ShortcutHelp({
  open,
  onOpenChange,
}: {
  readonly open: boolean;
  readonly onOpenChange: (open: boolean) => void;
}) {
  const rows: readonly (readonly [string, readonly string[]])[] = [
    ['Search and commands', ['Ctrl', 'K']],
    ['Search in this list', ['/']],
    ['Light or dark', ['t']],
    ['This help', ['?']],
    ...allPlaces.map((place) => [`Go to ${place.label}`, ['g', place.shortcut]] as const),
  ];
  return (
    <Dialog open={open} onOpenChange={onOpenChange} title="Keyboard shortcuts" className="max-w-sm">
      <dl className="flex flex-col gap-2">
        {rows.map(([label, pressed]) => (
          <div key={label} className="flex items-center justify-between">
            <dt>{label}</dt>
            <dd className="flex gap-1">
              {pressed.map((key) => (
                <Kbd key={key}>{key}</Kbd>
              ))}
            </dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}

/** How long `g` waits for the second key. */
const pendingMs = 1200;

function useKeyboard(actions: { openPalette: () => void; openHelp: () => void; toggleTheme: () => void }) {
  const router = useRouter();
  const latest = useRef(actions);
  useEffect(() => {
    latest.current = actions;
  });
  useEffect(() => {
    let before: { key: string; at: number } | null = null;
    const onKey = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
        event.preventDefault();
        latest.current.openPalette();
        return;
      }
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      const pending = before !== null && event.timeStamp - before.at < pendingMs ? before.key : null;
      before = null;
      const shortcut = shortcutOf(event.key, pending);
      if (shortcut === null) return;
      switch (shortcut.type) {
        case 'pending':
          before = { key: event.key, at: event.timeStamp };
          return;
        case 'go':
          router.push(shortcut.href);
          return;
        case 'search': {
          const search = document.querySelector<HTMLInputElement>('[data-search]');
          if (search === null) return;
          event.preventDefault();
          search.focus();
          return;
        }
        case 'help':
          latest.current.openHelp();
          return;
        case 'theme':
          latest.current.toggleTheme();
          return;
      }
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, [router]);
}

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable ||
      ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName) ||
      target.closest('[role=dialog]') !== null)
  );
}
