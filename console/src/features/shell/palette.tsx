'use client';

import type { DeploymentRecordView, PackageView, Source } from '@oaas/commons/client/pm';
import { useQuery } from '@tanstack/react-query';
import { Command } from 'cmdk';
import { GitBranch, Layers, LogOut, Moon, Package, RefreshCw, Search } from 'lucide-react';
import { useRouter } from 'next/navigation';
import { Dialog } from 'radix-ui';
import { useDeferredValue, useState } from 'react';
import { useDialogFocus } from '../../ui/dialog.tsx';
import { Kbd } from '../../ui/kbd.tsx';
import { keys } from '../data/keys.ts';
import { usePm } from '../data/provider.tsx';
import { useAction } from '../data/use-action.ts';
import { recordPath, recordTitle } from '../deployments/record.ts';
import { placeIcons } from './icons.tsx';
import { allPlaces } from './nav.ts';

interface PaletteProps {
  readonly open: boolean;
  readonly onOpenChange: (open: boolean) => void;
  readonly onToggleTheme: () => void;
  readonly onSignOut: () => void;
}

const row =
  'flex h-9 cursor-pointer items-center gap-2.5 rounded-md px-2.5 text-sm data-[selected=true]:bg-accent-soft data-[selected=true]:text-accent-strong [&_svg]:size-4 [&_svg]:text-ink-3';

/** Go anywhere and do the common things, by typing. Names are searched by PM, not in what happens to be loaded. */
export function CommandPalette({ open, onOpenChange, ...rest }: PaletteProps) {
  const focus = useDialogFocus();
  return (
    <Dialog.Root open={open} onOpenChange={onOpenChange}>
      <Dialog.Portal>
        <Dialog.Overlay className="fixed inset-0 z-40 bg-black/40 animate-in fade-in-0 duration-150" />
        <Dialog.Content
          {...focus}
          aria-describedby={undefined}
          className="fixed top-[12vh] left-1/2 z-50 w-[calc(100vw-2rem)] max-w-xl -translate-x-1/2 overflow-hidden rounded-lg border bg-surface shadow-float animate-in fade-in-0 zoom-in-[0.98] duration-150"
        >
          <Dialog.Title className="sr-only">Command palette</Dialog.Title>
          <PaletteBody {...rest} close={() => onOpenChange(false)} />
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function PaletteBody({
  close,
  onToggleTheme,
  onSignOut,
}: Pick<PaletteProps, 'onToggleTheme' | 'onSignOut'> & { readonly close: () => void }) {
  const [text, setText] = useState('');
  const q = useDeferredValue(text.trim());
  const router = useRouter();
  const { sources, packages, records } = useMatches(q);
  const sync = useAction({
    run: (pm, name: string) => pm.syncSource(name),
    done: (name) => `Looking at ${name} now`,
    failed: (name) => `${name} was not synced`,
    stale: [keys.sources, keys.overview],
  });
  const go = (href: string) => {
    close();
    router.push(href);
  };
  const run = (action: () => void) => {
    close();
    action();
  };
  const matches = (label: string) => label.toLowerCase().includes(q.toLowerCase());

  return (
    <Command shouldFilter={false} label="Command palette" loop>
      <div className="flex items-center gap-2.5 border-b px-4">
        <Search className="size-4 text-ink-3" aria-hidden="true" />
        <Command.Input
          value={text}
          onValueChange={setText}
          placeholder="Go to a page, source, package or deployment; or do something"
          className="h-12 flex-1 bg-transparent text-base outline-none placeholder:text-ink-3"
        />
        <Kbd>Esc</Kbd>
      </div>
      <Command.List className="max-h-[min(26rem,60vh)] overflow-y-auto p-1.5 [&_[cmdk-group-heading]]:px-2.5 [&_[cmdk-group-heading]]:pt-2 [&_[cmdk-group-heading]]:pb-1 [&_[cmdk-group-heading]]:text-2xs [&_[cmdk-group-heading]]:font-medium [&_[cmdk-group-heading]]:text-ink-3">
        <Command.Empty className="px-4 py-8 text-center text-ink-2">Nothing is called that.</Command.Empty>
        <Group heading="Pages" items={allPlaces.filter((place) => matches(place.label))}>
          {(place) => {
            const Icon = placeIcons[place.icon];
            return (
              <Command.Item
                key={place.href}
                value={`page ${place.href}`}
                className={row}
                onSelect={() => go(place.href)}
              >
                <Icon aria-hidden="true" />
                <span className="flex-1">{place.label}</span>
                <Kbd>g</Kbd>
                <Kbd>{place.shortcut}</Kbd>
              </Command.Item>
            );
          }}
        </Group>
        <Group heading="Deployments" items={records}>
          {(record) => (
            <Command.Item
              key={record.id}
              value={`record ${record.id}`}
              className={row}
              onSelect={() => go(recordPath(record))}
            >
              <Layers aria-hidden="true" />
              <span className="flex-1 truncate">{recordTitle(record)}</span>
              <span className="text-xs text-ink-3">{record.target_environment}</span>
            </Command.Item>
          )}
        </Group>
        <Group heading="Sources" items={sources}>
          {(source) => (
            <Command.Item
              key={source.name}
              value={`source ${source.name}`}
              className={row}
              onSelect={() => go(`/sources/${encodeURIComponent(source.name)}`)}
            >
              <GitBranch aria-hidden="true" />
              <span className="flex-1 truncate">{source.name}</span>
              <span className="max-w-56 truncate text-xs text-ink-3">{source.url}</span>
            </Command.Item>
          )}
        </Group>
        <Group heading="Packages" items={packages}>
          {(item) => (
            <Command.Item
              key={item.name}
              value={`package ${item.name}`}
              className={row}
              onSelect={() => go(`/packages/${encodeURIComponent(item.name)}`)}
            >
              <Package aria-hidden="true" />
              <span className="flex-1 truncate">{item.name}</span>
              <span className="text-xs text-ink-3">{item.version}</span>
            </Command.Item>
          )}
        </Group>
        <Group heading="Actions" items={sources.filter((source) => matches(`sync ${source.name}`))}>
          {(source) => (
            <Command.Item
              key={source.name}
              value={`sync ${source.name}`}
              className={row}
              onSelect={() => run(() => sync.mutate(source.name))}
            >
              <RefreshCw aria-hidden="true" />
              Sync {source.name} now
            </Command.Item>
          )}
        </Group>
        <Group heading="Console" items={consoleActions.filter((action) => matches(action.label))}>
          {(action) => (
            <Command.Item
              key={action.id}
              value={action.id}
              className={row}
              onSelect={() => run(action.id === 'theme' ? onToggleTheme : onSignOut)}
            >
              {action.id === 'theme' ? <Moon aria-hidden="true" /> : <LogOut aria-hidden="true" />}
              {action.label}
            </Command.Item>
          )}
        </Group>
      </Command.List>
    </Command>
  );
}

const consoleActions = [
  { id: 'theme', label: 'Switch between light and dark' },
  { id: 'sign-out', label: 'Sign out' },
] as const;

function Group<Item>({
  heading,
  items,
  children,
}: {
  readonly heading: string;
  readonly items: readonly Item[];
  readonly children: (item: Item) => React.ReactNode;
}) {
  return items.length === 0 ? null : <Command.Group heading={heading}>{items.map(children)}</Command.Group>;
}

const few = 6;
const noSources: readonly Source[] = [];
const noPackages: readonly PackageView[] = [];
const noRecords: readonly DeploymentRecordView[] = [];

/** The first few of each kind. "sync x" searches for x. */
function useMatches(q: string) {
  const pm = usePm();
  const name = q.replace(/^sync\s+/i, '');
  const query = { limit: few, ...(name === '' || name === 'sync' ? {} : { q: name }) };
  const sources = useQuery({
    queryKey: keys.sourceList(query),
    queryFn: ({ signal }) => pm.listSources(query, signal),
  });
  const packages = useQuery({
    queryKey: keys.packageList(query),
    queryFn: ({ signal }) => pm.listPackages(query, signal),
  });
  const records = useQuery({
    queryKey: keys.recordList(query),
    queryFn: ({ signal }) => pm.listRecords(query, signal),
  });
  return {
    sources: sources.data?.items ?? noSources,
    packages: packages.data?.items ?? noPackages,
    records: records.data?.items ?? noRecords,
  };
}
