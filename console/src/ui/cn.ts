import { clsx, type ClassValue } from 'clsx';
import { extendTailwindMerge } from 'tailwind-merge';

// The type scale has sizes that tailwind-merge would take for colours.
const merge = extendTailwindMerge({ extend: { classGroups: { 'font-size': [{ text: ['2xs'] }] } } });

/** Class names, the later one winning where two set the same thing. */
export function cn(...classes: ClassValue[]): string {
  return merge(clsx(classes));
}
