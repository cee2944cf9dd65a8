import { cn } from './cn.ts';
import { toneSoft, toneText, type Tone } from './tone.ts';

/** One shape per tone, drawn as one family on a 14 px grid. */
export function Glyph({ tone, className }: { readonly tone: Tone; readonly className?: string }) {
  return (
    <svg
      viewBox="0 0 14 14"
      aria-hidden="true"
      className={cn('size-3.5 shrink-0', toneText[tone], className)}
      fill="none"
      stroke="currentColor"
      strokeWidth="1.6"
      strokeLinecap="round"
      strokeLinejoin="round"
    >
      {shapes[tone]}
    </svg>
  );
}

const cut = { stroke: 'var(--surface)' };
const shapes: Record<Tone, React.ReactNode> = {
  ok: (
    <>
      <circle cx="7" cy="7" r="5.6" fill="currentColor" stroke="none" />
      <path d="M4.6 7.2l1.7 1.7 3.2-3.5" style={cut} />
    </>
  ),
  busy: (
    <>
      <circle cx="7" cy="7" r="5" opacity="0.28" />
      <path
        d="M7 2a5 5 0 0 1 5 5"
        className="origin-center animate-spin [animation-duration:1.4s] motion-reduce:animate-none"
      />
    </>
  ),
  warn: (
    <>
      <path d="M7 1.9l5.4 9.5H1.6z" fill="currentColor" />
      <path d="M7 5.6v2.5M7 10v.01" style={cut} strokeWidth="1.4" />
    </>
  ),
  bad: (
    <>
      <path d="M4.7 1.4h4.6l3.3 3.3v4.6l-3.3 3.3H4.7L1.4 9.3V4.7z" fill="currentColor" stroke="none" />
      <path d="M5.1 5.1l3.8 3.8M8.9 5.1L5.1 8.9" style={cut} />
    </>
  ),
  hold: (
    <>
      <path d="M7 .9L13.1 7 7 13.1.9 7z" fill="currentColor" stroke="none" />
      <path d="M7 4.3v3M7 9.4v.01" style={cut} />
    </>
  ),
  pause: (
    <>
      <circle cx="7" cy="7" r="5.2" />
      <path d="M5.7 5.2v3.6M8.3 5.2v3.6" />
    </>
  ),
  idle: <circle cx="7" cy="7" r="5" strokeDasharray="1.9 2.02" />,
};

/** Shape, word and colour of one state. */
export function Status({
  tone,
  children,
  className,
  title,
}: {
  readonly tone: Tone;
  readonly children: React.ReactNode;
  readonly className?: string;
  readonly title?: string | undefined;
}) {
  return (
    <span
      className={cn('inline-flex items-center gap-1.5 font-medium whitespace-nowrap', toneText[tone], className)}
      data-tone={tone}
      title={title}
    >
      <Glyph tone={tone} />
      {children}
    </span>
  );
}

/** The same as a tinted label, for headings and diffs. */
export function Tag({
  tone = 'idle',
  children,
  className,
  title,
}: {
  readonly tone?: Tone;
  readonly children: React.ReactNode;
  readonly className?: string;
  readonly title?: string | undefined;
}) {
  return (
    <span
      className={cn(
        'inline-flex h-5 items-center gap-1 rounded-sm px-1.5 text-2xs font-medium whitespace-nowrap',
        toneSoft[tone],
        className,
      )}
      data-tone={tone}
      title={title}
    >
      {children}
    </span>
  );
}
