'use client';

import { DropdownMenu as Radix } from 'radix-ui';
import { cn } from './cn.ts';

export function Menu({ trigger, children }: { readonly trigger: React.ReactNode; readonly children: React.ReactNode }) {
  return (
    <Radix.Root>
      <Radix.Trigger asChild>{trigger}</Radix.Trigger>
      <Radix.Portal>
        <Radix.Content
          align="end"
          sideOffset={6}
          collisionPadding={8}
          className="z-50 min-w-44 rounded-lg border bg-surface p-1 shadow-float animate-in fade-in-0 zoom-in-95 duration-100"
        >
          {children}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}

const item =
  'flex h-8 cursor-pointer items-center gap-2 rounded-md px-2 text-sm outline-none data-highlighted:bg-hover data-disabled:cursor-not-allowed data-disabled:opacity-50 [&_svg]:size-4 [&_svg]:text-ink-3';

export function MenuItem({
  onSelect,
  children,
  danger,
}: {
  readonly onSelect: () => void;
  readonly children: React.ReactNode;
  readonly danger?: boolean;
}) {
  return (
    <Radix.Item onSelect={onSelect} className={cn(item, danger === true && 'text-bad [&_svg]:text-bad')}>
      {children}
    </Radix.Item>
  );
}

export function MenuChoice<T extends string>({
  value,
  options,
  onChange,
}: {
  readonly value: T;
  readonly options: readonly { readonly value: T; readonly label: string; readonly icon: React.ReactNode }[];
  readonly onChange: (value: T) => void;
}) {
  return (
    <Radix.RadioGroup value={value} onValueChange={(next) => onChange(next as T)}>
      {options.map((option) => (
        <Radix.RadioItem
          key={option.value}
          value={option.value}
          className={cn(item, 'data-[state=checked]:font-medium data-[state=checked]:text-accent')}
        >
          {option.icon}
          {option.label}
        </Radix.RadioItem>
      ))}
    </Radix.RadioGroup>
  );
}

export function MenuLabel({ children }: { readonly children: React.ReactNode }) {
  return <Radix.Label className="eyebrow px-2 pt-1.5 pb-1">{children}</Radix.Label>;
}

export function MenuLine() {
  return <Radix.Separator className="-mx-1 my-1 h-px bg-line" />;
}
