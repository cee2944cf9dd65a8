import { Boxes, CircleGauge, GitBranch, Grid3x3, Layers, Package, ScrollText, type LucideIcon } from 'lucide-react';
import type { Place } from './nav.ts';

export const placeIcons: Record<Place['icon'], LucideIcon> = {
  overview: CircleGauge,
  source: GitBranch,
  package: Package,
  deployment: Layers,
  cluster: Boxes,
  grid: Grid3x3,
  audit: ScrollText,
};

/** The platform's mark: a loop that closes on an object. */
export function Mark({ className }: { readonly className?: string }) {
  return (
    <svg
      viewBox="0 0 24 24"
      aria-hidden="true"
      className={className}
      fill="none"
      stroke="currentColor"
      strokeWidth="2"
      strokeLinecap="round"
    >
      <path d="M12 3.5A8.5 8.5 0 1 0 20.5 12" />
      <circle cx="12" cy="12" r="2.6" fill="currentColor" stroke="none" />
      <path d="M16.4 4.7l3 3" />
    </svg>
  );
}
