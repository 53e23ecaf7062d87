// Who belongs to an organization, and who is invited.

import type { SupabaseClient } from "../../../supabase";

export type Role = "owner" | "agent";

export interface Member {
  readonly user_id: string;
  readonly email: string | null;
  readonly role: Role;
  readonly created_at: string;
}

export interface Invitation {
  readonly id: string;
  readonly email: string;
  readonly role: Role;
}

export async function findMembers(supabase: SupabaseClient, organizationId: string): Promise<readonly Member[]> {
  const answer = await supabase.rpc("list_members", { organization: organizationId });
  if (answer.error) throw answer.error;
  return answer.data as readonly Member[];
}

export async function findInvitations(
  supabase: SupabaseClient,
  organizationId: string,
): Promise<readonly Invitation[]> {
  const { data, error } = await supabase
    .from("member_invitations")
    .select("id,email,role")
    .eq("organization_id", organizationId)
    .order("created_at");
  if (error) throw error;
  return data;
}

export async function inviteMember(
  supabase: SupabaseClient,
  organizationId: string,
  email: string,
  role: Role,
): Promise<void> {
  const { error } = await supabase.rpc("invite_member", {
    organization: organizationId,
    address: email,
    new_role: role,
  });
  if (error) throw error;
}

export async function withdrawInvitation(supabase: SupabaseClient, id: string): Promise<void> {
  const { error } = await supabase.rpc("withdraw_invitation", { invitation: id });
  if (error) throw error;
}

export async function removeMember(supabase: SupabaseClient, organizationId: string, userId: string): Promise<void> {
  const { error } = await supabase
    .from("organization_members")
    .delete()
    .eq("organization_id", organizationId)
    .eq("user_id", userId);
  if (error) throw error;
}
