import { cn } from './cn.ts';
import { toneFill, type Tone } from './tone.ts';

/** Parts of a whole as one bar, with the same numbers in words for those who do not see it. */
export function Meter({
  label,
  total,
  parts,
  className,
}: {
  readonly label: string;
  readonly total: number;
  readonly parts: readonly { readonly tone: Tone; readonly value: number; readonly word: string }[];
  readonly className?: string;
}) {
  const words = parts.map((part) => `${part.value} ${part.word}`).join(', ');
  return (
    <div
      role="img"
      aria-label={`${label}: ${words} of ${total}`}
      className={cn('flex h-1.5 gap-px overflow-hidden rounded-full bg-idle-soft', className)}
    >
      {total === 0
        ? null
        : parts
            .filter((part) => part.value > 0)
            .map((part) => (
              <span
                key={part.word}
                className={cn('transition-[width] duration-300', toneFill[part.tone])}
                style={{ width: `${(part.value / total) * 100}%` }}
              />
            ))}
    </div>
  );
}
