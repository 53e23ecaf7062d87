// The organizations that somebody belongs to, and those that invite them.

import type { SupabaseClient } from "../../../supabase";

export interface Membership {
  readonly id: string;
  readonly name: string;
  readonly role: "owner" | "agent";
}

/** What somebody is asked to join; they are no member before they say so. */
export interface MyInvitation {
  readonly id: string;
  readonly organization_name: string;
  readonly invited_by: string | null;
  readonly role: Membership["role"];
}

interface Row {
  readonly organization_id: string;
  readonly role: Membership["role"];
  readonly organizations: { readonly name: string } | null;
}

export async function findMemberships(supabase: SupabaseClient, userId: string): Promise<readonly Membership[]> {
  const { data, error } = await supabase
    .from("organization_members")
    .select("organization_id,role,organizations(name)")
    .eq("user_id", userId)
    .order("created_at");
  if (error) throw error;
  return (data as unknown as Row[]).map((row) => ({
    id: row.organization_id,
    name: row.organizations?.name ?? "",
    role: row.role,
  }));
}

export async function findMyInvitations(supabase: SupabaseClient): Promise<readonly MyInvitation[]> {
  const answer = await supabase.rpc("list_my_invitations");
  if (answer.error) throw answer.error;
  return answer.data as readonly MyInvitation[];
}

export async function acceptInvitation(supabase: SupabaseClient, id: string): Promise<void> {
  const { error } = await supabase.rpc("accept_invitation", { invitation: id });
  if (error) throw error;
}

export async function declineInvitation(supabase: SupabaseClient, id: string): Promise<void> {
  const { error } = await supabase.rpc("decline_invitation", { invitation: id });
  if (error) throw error;
}

export async function leaveOrganization(supabase: SupabaseClient, id: string): Promise<void> {
  const { error } = await supabase.rpc("leave_organization", { organization: id });
  if (error) throw error;
}

export async function createOrganization(supabase: SupabaseClient, ownerId: string, name: string): Promise<void> {
  const { error } = await supabase.from("organizations").insert({ id: crypto.randomUUID(), owner_id: ownerId, name });
  if (error) throw error;
}
