'use client';

import { Check, Copy } from 'lucide-react';
import { useState } from 'react';
import { toast } from 'sonner';
import { IconButton } from './button.tsx';
import { cn } from './cn.ts';

export function CopyButton({ text, label }: { readonly text: string; readonly label: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
    } catch {
      toast.error('The browser does not allow copying here', { description: 'Select the text and copy it by hand.' });
    }
  };
  return (
    <IconButton
      label={copied ? 'Copied' : label}
      size="icon-sm"
      className="relative z-10"
      onClick={() => void copy()}
      onBlur={() => setCopied(false)}
    >
      {copied ? <Check className="text-ok" aria-hidden="true" /> : <Copy aria-hidden="true" />}
    </IconButton>
  );
}

/** One command to copy into a terminal. */
export function CommandLine({
  text,
  label,
  className,
}: {
  readonly text: string;
  readonly label: string;
  readonly className?: string;
}) {
  return (
    <div className={cn('flex items-start gap-2 rounded-md border bg-sunken py-1.5 pr-1.5 pl-3', className)}>
      <code className="min-w-0 flex-1 py-0.5 text-xs break-all whitespace-pre-wrap">{text}</code>
      <CopyButton text={text} label={label} />
    </div>
  );
}
