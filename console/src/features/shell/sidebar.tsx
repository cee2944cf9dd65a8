'use client';

import { usePathname } from 'next/navigation';
import { cn } from '../../ui/cn.ts';
import { PageLink } from '../../ui/page-link.tsx';
import { Mark, placeIcons } from './icons.tsx';
import { isHere, places } from './nav.ts';

export function Sidebar({ onNavigate, className }: { readonly onNavigate?: () => void; readonly className?: string }) {
  const pathname = usePathname();
  return (
    <div className={cn('flex h-full flex-col', className)}>
      <PageLink
        href="/"
        className="flex h-13 items-center gap-2.5 px-4"
        {...(onNavigate === undefined ? {} : { onClick: onNavigate })}
      >
        <Mark className="size-5.5 text-accent" />
        <span className="text-base font-semibold tracking-tight">OaaS</span>
        <span className="text-xs text-ink-3">console</span>
      </PageLink>
      <nav aria-label="Main" className="flex flex-1 flex-col gap-4 overflow-y-auto px-2 pt-2 pb-4">
        {places.map((group) => (
          <div key={group.label}>
            {group.label === '' ? null : <p className="eyebrow px-2 pb-1">{group.label}</p>}
            <ul className="flex flex-col gap-px">
              {group.places.map((place) => {
                const Icon = placeIcons[place.icon];
                const here = isHere(place.href, pathname);
                return (
                  <li key={place.href}>
                    <PageLink
                      href={place.href}
                      {...(here ? { 'aria-current': 'page' as const } : {})}
                      {...(onNavigate === undefined ? {} : { onClick: onNavigate })}
                      className={cn(
                        'flex h-8 items-center gap-2.5 rounded-md px-2 text-sm font-medium',
                        here ? 'bg-accent-soft text-accent-strong' : 'text-ink-2 hover:bg-hover hover:text-ink',
                      )}
                    >
                      <Icon className="size-4" aria-hidden="true" />
                      {place.label}
                    </PageLink>
                  </li>
                );
              })}
            </ul>
          </div>
        ))}
      </nav>
    </div>
  );
}
