export interface Place {
  readonly href: string;
  readonly label: string;
  readonly icon: 'overview' | 'source' | 'package' | 'deployment' | 'cluster' | 'grid' | 'audit';
  /** Second key after `g`. */
  readonly shortcut: string;
}

/** Only what has something behind it. */
export const places: readonly { readonly label: string; readonly places: readonly Place[] }[] = [
  { label: '', places: [{ href: '/', label: 'Overview', icon: 'overview', shortcut: 'o' }] },
  {
    label: 'Desired',
    places: [
      { href: '/sources', label: 'Sources', icon: 'source', shortcut: 's' },
      { href: '/packages', label: 'Packages', icon: 'package', shortcut: 'p' },
    ],
  },
  {
    label: 'Running',
    places: [
      { href: '/deployments', label: 'Deployments', icon: 'deployment', shortcut: 'd' },
      { href: '/clusters', label: 'Clusters', icon: 'cluster', shortcut: 'c' },
      { href: '/grid', label: 'Grid', icon: 'grid', shortcut: 'g' },
    ],
  },
  { label: 'History', places: [{ href: '/audit', label: 'Audit', icon: 'audit', shortcut: 'a' }] },
];

export const allPlaces: readonly Place[] = places.flatMap((group) => group.places);

/** Whether a place is where the reader is, or above it. */
export function isHere(href: string, pathname: string): boolean {
  return href === '/' ? pathname === '/' : pathname === href || pathname.startsWith(`${href}/`);
}

export interface Crumb {
  readonly href: string;
  readonly label: string;
}

/** The way to a page: its place, then the rest of the path, decoded. */
export function crumbsOf(pathname: string): readonly Crumb[] {
  const place = allPlaces.find((candidate) => isHere(candidate.href, pathname));
  if (place === undefined) return [];
  if (place.href === '/') return [{ href: '/', label: place.label }];
  const rest = pathname
    .slice(place.href.length)
    .split('/')
    .filter((part) => part !== '');
  const crumbs: Crumb[] = [{ href: place.href, label: place.label }];
  // A grid has no page per environment: both parts of its address are one step.
  if (place.href === '/grid' && rest.length === 2) {
    return [...crumbs, { href: pathname, label: rest.map(decode).join(' / ') }];
  }
  let href = place.href;
  for (const part of rest) {
    href = `${href}/${part}`;
    crumbs.push({ href, label: decode(part) });
  }
  return crumbs;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
